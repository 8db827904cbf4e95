// Tar archives of small files, as tests/vault/archive.rs reads them.

const BLOCK = 512

/** A ustar archive of `{ name, data }`; names of at most 100 bytes. */
export function tar(files) {
  const blocks = []
  for (const { name, data } of files) {
    const header = Buffer.alloc(BLOCK)
    header.write(name, 0, 100)
    header.write('0000644\0', 100)
    header.write('0000000\0', 108)
    header.write('0000000\0', 116)
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000000\0', 136)
    header.write('        ', 148)
    header.write('0', 156)
    header.write('ustar\x0000', 257, 'latin1')
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    blocks.push(header, data, Buffer.alloc(-data.length & (BLOCK - 1)))
  }
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}
