/** The first line of an error's message, or of a text: what fits where one line is told. */
export const firstLine = (told: unknown): string =>
  (told instanceof Error ? told.message : String(told)).split('\n')[0] ?? '';
