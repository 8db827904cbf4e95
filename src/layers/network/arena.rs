//! Where each activation lies: one block of memory, shared by tensors that are never alive together.

use super::graph::{Graph, TensorId};

/// XNNPACK reads up to 16 bytes past a tensor's end; 64-byte steps keep vectors aligned as well.
const STEP: usize = 16;
const EXTRA: usize = 16;

/// Offsets, in f32, of every tensor of a graph.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub offsets: Vec<usize>,
    pub len: usize,
}

/// First and last step at which a tensor holds a value that is still needed.
fn lifetimes(graph: &Graph) -> Vec<(usize, usize)> {
    let mut lives = vec![(usize::MAX, 0); graph.shapes.len()];
    let mut touch = |tensor: TensorId, step: usize| {
        let (first, last) = &mut lives[tensor];
        *first = (*first).min(step);
        *last = (*last).max(step);
    };
    touch(graph.input, 0);
    for (step, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&t| touch(t, step + 1));
        touch(node.output, step + 1);
    }
    graph
        .outputs
        .iter()
        .for_each(|&t| touch(t, graph.nodes.len() + 1));
    lives
}

/// Largest first, each at the lowest offset free of all that live at the same time.
pub fn plan(graph: &Graph) -> Plan {
    let lives = lifetimes(graph);
    let size = |t: TensorId| (graph.shapes[t].volume() + EXTRA).div_ceil(STEP) * STEP;
    let mut order: Vec<TensorId> = (0..graph.shapes.len())
        .filter(|&t| lives[t].0 != usize::MAX)
        .collect();
    order.sort_by_key(|&t| (std::cmp::Reverse(size(t)), t));
    let mut offsets = vec![0; graph.shapes.len()];
    let mut placed: Vec<TensorId> = Vec::new();
    let mut len = 0;
    for &tensor in &order {
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| {
                lives[other].0 <= lives[tensor].1 && lives[tensor].0 <= lives[other].1
            })
            .map(|&other| (offsets[other], offsets[other] + size(other)))
            .collect();
        busy.sort_unstable();
        let mut at = 0;
        for (from, to) in busy {
            if at + size(tensor) <= from {
                break;
            }
            at = at.max(to);
        }
        offsets[tensor] = at;
        len = len.max(at + size(tensor));
        placed.push(tensor);
    }
    Plan {
        offsets,
        len: len + EXTRA,
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Kind, Node, Shape};
    use super::*;

    fn chain(lengths: &[usize]) -> Graph {
        let shapes = lengths
            .iter()
            .map(|&n| Shape {
                height: 1,
                width: 1,
                channels: n,
            })
            .collect();
        let nodes = (1..lengths.len())
            .map(|i| Node {
                kind: Kind::Sigmoid,
                inputs: vec![i - 1],
                output: i,
            })
            .collect();
        Graph {
            shapes,
            nodes,
            input: 0,
            outputs: vec![lengths.len() - 1],
        }
    }

    #[test]
    fn tensors_alive_together_never_overlap_and_dead_ones_are_reused() {
        let mut graph = chain(&[100, 400, 50, 400, 20, 300]);
        graph.nodes[3].inputs.push(1); // tensor 1 lives on to step 4
        let plan = plan(&graph);
        let lives = lifetimes(&graph);
        for a in 0..6 {
            for b in 0..a {
                let together = lives[a].0 <= lives[b].1 && lives[b].0 <= lives[a].1;
                let (x, y) = (plan.offsets[a], plan.offsets[b]);
                let apart = x + graph.shapes[a].volume() <= y || y + graph.shapes[b].volume() <= x;
                assert!(!together || apart, "{a} and {b} overlap");
            }
        }
        let sum: usize = graph.shapes.iter().map(Shape::volume).sum();
        assert!(plan.len < sum, "{} of {sum}", plan.len);
    }
}
