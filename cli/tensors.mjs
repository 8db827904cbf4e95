// The tensors of a file as a tree that fits on a screen: repeated blocks are drawn once.

class Node {
  children = new Map()
  tensor = null
}

function grow(tensors) {
  const root = new Node()
  for (const tensor of tensors) {
    let node = root
    for (const part of tensor.name.split('.')) {
      if (!node.children.has(part)) node.children.set(part, new Node())
      node = node.children.get(part)
    }
    node.tensor = tensor
  }
  return root
}

const shapeOf = ({ shape, dtype }) => `[${shape.join(', ')}] ${dtype}`

/** Numbers that are equal for subtrees of the same names, shapes and types. */
class Kinds {
  #ofNode = new Map()
  #ofText = new Map()

  of(node) {
    let kind = this.#ofNode.get(node)
    if (kind === undefined) {
      const below = [...node.children].map(([name, child]) => [name, this.of(child)])
      const text = JSON.stringify([node.tensor && shapeOf(node.tensor), below])
      kind = this.#ofText.get(text) ?? this.#ofText.size
      this.#ofText.set(text, kind)
      this.#ofNode.set(node, kind)
    }
    return kind
  }
}

/** Runs of numbered siblings that are alike, as one entry `0–31`. */
function entries(node, kinds) {
  const found = []
  for (const [name, child] of node.children) {
    const last = found.at(-1)
    const number = /^\d+$/.test(name) ? Number(name) : undefined
    const continues =
      last?.to !== undefined && number === last.to + 1 && kinds.of(child) === kinds.of(last.node)
    if (continues) last.to = number
    else found.push({ name, node: child, from: number, to: number })
  }
  return found.map(({ name, node: child, from, to }) => ({
    name: from !== to ? `${from}–${to}` : name,
    node: child,
  }))
}

/** Lines `name  [shape] dtype`, indented; a chain of only children is one line. */
export function tensorTree(tensors, indent = '  ') {
  const kinds = new Kinds()
  const rows = []
  const walk = (node, depth) => {
    for (const entry of entries(node, kinds)) {
      let { name, node: at } = entry
      for (;;) {
        const [only, another] = at.tensor ? [] : entries(at, kinds)
        if (!only || another) break
        name += `.${only.name}`
        at = only.node
      }
      rows.push({ label: `${indent.repeat(depth)}${name}`, tensor: at.tensor })
      walk(at, depth + 1)
    }
  }
  walk(grow(tensors), 1)
  const width = Math.max(0, ...rows.filter((row) => row.tensor).map((row) => row.label.length))
  return rows.map(({ label, tensor }) =>
    tensor ? `${label.padEnd(width)}  ${shapeOf(tensor)}` : label,
  )
}

/** How many numbers the tensors hold. */
export const parameters = (tensors) =>
  tensors.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0)
