/** Which box this is, as the device states it itself. An empty text is what it does not state. */
export interface DeviceFacts {
  readonly model: string;
  readonly software: string;
  readonly serial: string;
  readonly baseMac: string;
}
