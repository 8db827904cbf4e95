// Reads from a Linux shared library which other libraries it needs, and where it looks for them.

import { open } from 'node:fs/promises'

const DYNAMIC_SEGMENT = 2
const LOAD_SEGMENT = 1
const TAG_NEEDED = 1n
const TAG_STRING_TABLE = 5n
const TAG_STRING_SIZE = 10n
const TAGS_SEARCH_PATH = [15n, 29n]

/** The DT_NEEDED names of a 64-bit little-endian ELF file. */
export async function neededLibraries(libraryPath) {
  return (await dynamicSection(libraryPath)).needed
}

/** `needed`: library names; `searchPaths`: the RPATH and RUNPATH entries. */
export async function dynamicSection(libraryPath) {
  const file = await open(libraryPath, 'r')
  try {
    const read = async (position, length) => {
      const buffer = Buffer.alloc(Number(length))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, Number(position))
      if (bytesRead !== buffer.length) throw new Error(`${libraryPath} is cut short`)
      return buffer
    }
    const header = await read(0, 64)
    if (header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
      throw new Error(`${libraryPath} is not a 64-bit Linux library`)
    }
    const segments = await readSegments(header, read)
    const dynamic = segments.find((segment) => segment.type === DYNAMIC_SEGMENT)
    if (!dynamic) return { needed: [], searchPaths: [] }
    const tags = await readTags(dynamic, read)
    const only = (tag) => tags.find((entry) => entry.tag === tag)?.value ?? 0n
    const tableAddress = only(TAG_STRING_TABLE)
    const home = segments.find(
      ({ type, address, size }) =>
        type === LOAD_SEGMENT && tableAddress >= address && tableAddress < address + size,
    )
    if (!home) throw new Error(`${libraryPath}: its string table is nowhere in the file`)
    const table = await read(home.offset + (tableAddress - home.address), only(TAG_STRING_SIZE))
    const strings = (wanted) =>
      tags
        .filter(({ tag }) => wanted.includes(tag))
        .map(({ value }) => {
          const start = Number(value)
          return table.toString('utf8', start, table.indexOf(0, start))
        })
    return { needed: strings([TAG_NEEDED]), searchPaths: strings(TAGS_SEARCH_PATH) }
  } finally {
    await file.close()
  }
}

async function readSegments(header, read) {
  const entrySize = header.readUInt16LE(54)
  const count = header.readUInt16LE(56)
  const table = await read(header.readBigUInt64LE(32), entrySize * count)
  return Array.from({ length: count }, (_, index) => {
    const at = index * entrySize
    return {
      type: table.readUInt32LE(at),
      offset: table.readBigUInt64LE(at + 8),
      address: table.readBigUInt64LE(at + 16),
      size: table.readBigUInt64LE(at + 32),
    }
  })
}

async function readTags(dynamic, read) {
  const bytes = await read(dynamic.offset, dynamic.size)
  const tags = []
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const tag = bytes.readBigInt64LE(at)
    if (tag === 0n) break
    tags.push({ tag, value: bytes.readBigUInt64LE(at + 8) })
  }
  return tags
}
