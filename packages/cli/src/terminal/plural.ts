/** `1 image`, `2 images`; of a word that does not end in s with its plural. */
export function plural(count: number, noun: string, many: string = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}
