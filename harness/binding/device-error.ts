/** Says which device, what was tried, what came back, and what to do next. Every error a device causes has this form. */
export class DeviceError extends Error {
  override readonly name: string = 'DeviceError';
  readonly device: string;
  readonly tried: string;
  readonly answer: string;
  readonly advice: string;

  constructor(device: string, tried: string, answer: string, advice: string, cause?: unknown) {
    super(`${device}: ${tried} failed: ${answer.trim() || 'no output'}\n  ${advice}`, { cause });
    this.device = device;
    this.tried = tried;
    this.answer = answer;
    this.advice = advice;
  }
}
