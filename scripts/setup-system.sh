#!/usr/bin/env bash
# Installs the Debian programs that some tests talk to: real SSH and SNMP peers, iperf3, tcpdump, a browser.
# Without them those tests are skipped, each with a printed reason.
set -euo pipefail
if [ "$(id -u)" -ne 0 ]; then exec sudo --non-interactive "$0" "$@"; fi
export DEBIAN_FRONTEND=noninteractive
# The daemons are started by the tests on ports of their own; Debian must not start its copies.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT
apt-get update -qq
apt-get install -y -qq --no-install-recommends openssh-client openssh-server snmp snmpd iperf3 tcpdump chromium fonts-dejavu-core
