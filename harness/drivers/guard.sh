# Farspan's guard of one device. It lies in a folder that a reboot empties, and every command that changes the device goes through it:
# a lease is compared and the command run under one lock, so that a holder whose lease was given away has no effect.
# Without flock nothing is compared under a lock; the harness then sends one command at a time, and waits before it takes over.
# Each undo has a timer on the device itself; without renewal it runs, with nobody connected.
#
#   sh guard VERB TOKEN LEASE [more]
#
# Exit codes of its own: 73 another lease holds the device or none does, 75 the lock was not free, 76 undos are still armed.
D=@FOLDER@
verb=$1
token=$2
lease=$3

lock() {
  exec 9>>$D/lock
  if command -v flock > /dev/null 2>&1; then
    flock -w 10 9 || { echo "farspan: busy" >&2; exit 75; }
  fi
}

holds() {
  [ "$(cat $D/lease 2> /dev/null)" = "$1" ] && return 0
  echo "farspan: fenced by $(cat $D/lease 2> /dev/null)" >&2
  exit 73
}

# Whether process $1 lives in a session of its own: until then, what ends this command ends it too, and without setsid it never lived.
alone() {
  n=0
  while [ "$(cut -d ' ' -f 6 /proc/$1/stat 2> /dev/null)" != $1 ]; do
    n=$((n + 1))
    [ $n -lt 200 ] || return 1
    sleep 0.01
  done
}

# Fault $1, generation $2, $ttl seconds: the timer is started first and named in gen/ after that, so that at no instant none counts.
start() {
  if [ -d /run/systemd/system ]; then
    systemd-run --quiet --collect --unit=farspan-$lease-$1-$2 --on-active=${ttl}s --timer-property=AccuracySec=100ms sh $D/guard fire - $lease $1 $2 9>&- || return 1
  else
    setsid nohup sh -c "sleep $ttl; exec sh $D/guard fire - $lease $1 $2" > /dev/null 2>&1 < /dev/null 9>&- &
    echo $! > $D/timer/$1.$2
    alone $! || return 1
  fi
  echo "$lease $2" > $D/new.$$ && mv $D/new.$$ $D/gen/$1
}

# Ends the timer of fault $1, generation $2, lease $3. One that goes on finds another generation in gen/ and does nothing.
stop() {
  if [ -d /run/systemd/system ]; then
    systemctl stop farspan-$3-$1-$2.timer > /dev/null 2>&1
  else
    p=$(cat $D/timer/$1.$2 2> /dev/null)
    [ -n "$p" ] && grep -q "guard fire" /proc/$p/cmdline 2> /dev/null && kill -TERM -$p 2> /dev/null
    rm -f $D/timer/$1.$2
  fi
  return 0
}

# Every undo on this device gets a timer of this lease in place of the one it had. One that has fired has no generation any more.
rearm() {
  for F in $(ls $D/gen); do
    old=$(cut -d ' ' -f 1 $D/gen/$F)
    g=$(cut -d ' ' -f 2 $D/gen/$F)
    start $F $((g + 1)) && stop $F $g $old
  done
}

forget() {
  g=$(cut -d ' ' -f 2 $D/gen/$1 2> /dev/null)
  rm -f $D/gen/$1
  [ -n "$g" ] && stop $1 $g $lease
  rm -f $D/undo/$1 $D/jobs/$1
  return 0
}

case $verb in
  # EXPECTED ("TOKEN LEASE", or nothing) TTL HOLDER
  take)
    ttl=$5
    lock
    holds "$4"
    # Only now: whoever is refused must not change the program of the holder, and a release may just have taken everything away.
    mkdir -p $D/undo $D/gen $D/timer $D/jobs
    [ ! -f $D/guard.$lease ] || mv $D/guard.$lease $D/guard || exit 1
    rearm
    printf '%s\n' "$6" > $D/holder
    echo 0 > $D/beat
    echo "$token $lease" > $D/new.$$ && mv $D/new.$$ $D/lease
    ;;
  # TTL; prints what timers have fired
  renew)
    ttl=$4
    lock
    holds "$token $lease"
    echo $(($(cat $D/beat) + 1)) > $D/beat
    rearm
    cat $D/fired 2> /dev/null
    exit 0
    ;;
  # COMMAND
  write)
    lock
    holds "$token $lease"
    sh -c "$4" 9>&-
    ;;
  # TTL FAULT UNDO...
  arm)
    ttl=$4
    F=$5
    shift 5
    lock
    holds "$token $lease"
    printf '%s\n' "$@" > $D/new.$$ && mv $D/new.$$ $D/undo/$F && start $F 1
    ;;
  # TTL JOB COMMAND UNDO...: armed and started in one go
  job)
    ttl=$4
    F=$5
    command=$6
    shift 6
    lock
    holds "$token $lease"
    printf '%s\n' "$@" > $D/new.$$ && mv $D/new.$$ $D/undo/$F && start $F 1 && sh -c "$command" 9>&-
    ;;
  # FAULT
  disarm)
    lock
    holds "$token $lease"
    forget $4
    ;;
  # FAULT: runs its undo now
  undo)
    lock
    holds "$token $lease"
    [ -f $D/undo/$4 ] || exit 0
    sh $D/undo/$4 9>&- && forget $4
    ;;
  release)
    lock
    holds "$token $lease"
    left=$(ls $D/undo)
    [ -z "$left" ] || { echo "farspan: still armed: $left" >&2; exit 76; }
    rm -rf $D/undo $D/gen $D/timer $D/jobs $D/holder $D/beat $D/fired $D/lease $D/guard $D/new.*
    ;;
  # FAULT GENERATION: what a timer runs. The lease and the generation that it was started for must still be those of the fault.
  fire)
    lock
    [ "$(cat $D/gen/$4 2> /dev/null)" = "$lease $5" ] || exit 0
    code=1
    for try in 1 2 3; do
      sh $D/undo/$4 9>&-
      code=$?
      [ $code -eq 0 ] && break
      sleep 1
    done
    echo "$lease $4 $5 $code" >> $D/fired
    rm -f $D/gen/$4 $D/timer/$4.$5
    [ $code -eq 0 ] && rm -f $D/undo/$4 $D/jobs/$4
    exit $code
    ;;
  *)
    echo "farspan: the guard knows no verb $verb" >&2
    exit 64
    ;;
esac
