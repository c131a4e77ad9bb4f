/** Evidence could not be written or read. Never the product's fault, and not the lab's. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
}

/** Says which file it was, and what was tried. @throws EvidenceError when `act` throws anything */
export function attempt<T>(verb: string, file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof EvidenceError) throw error;
    throw new EvidenceError(
      `${file}: ${verb} failed: ${(error as Error).message}\n  Is the disk full, or the folder read-only?`,
      { cause: error },
    );
  }
}
