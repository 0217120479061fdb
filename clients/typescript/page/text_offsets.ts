/** From UTF-8 bytes, which the contract counts, to the UTF-16 units of a script's strings. */

/** The index at which that many bytes of the text end; the text's end for more. */
export function indexOfByte(text: string, bytes: number): number {
  let index = 0;
  let left = bytes;
  while (left > 0 && index < text.length) {
    const point = text.codePointAt(index)!;
    left -= point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    index += point < 0x10000 ? 1 : 2;
  }
  return index;
}
