//! Runs a graph on one thread through the XNNPACK inside libtorch: operators are packed and bound to
//! their memory once, so that a run allocates nothing.

use std::ptr::null_mut;

use super::aligned::Aligned;
use super::arena::{self, Plan};
use super::error::NetworkError;
use super::graph::{Conv, Graph, Kind, Node, Padding, Shape, TensorId};
use super::kernels;
use super::sparse::SparseConv;
use super::xnn_ffi::{self as ffi, Operator, Status, Xnn};

type Result<T> = std::result::Result<T, NetworkError>;

/// One step of a prepared network.
enum Step {
    /// Packed weights and addresses inside; released on drop.
    Operator(Operator),
    Clamp6(TensorId),
    Sparse {
        conv: SparseConv,
        input: TensorId,
        output: TensorId,
    },
    Plain(Node),
}

/// A prepared network; belongs to the thread that built it.
pub struct XnnNetwork {
    xnn: &'static Xnn,
    graph: Graph,
    plan: Plan,
    /// Operators hold addresses inside: never resized, never moved.
    memory: Aligned,
    steps: Vec<Step>,
}

impl XnnNetwork {
    /// Packs the weights; the graph's own copies are dropped.
    pub fn new(graph: Graph) -> Result<Self> {
        let xnn = ffi::load().map_err(|reason| NetworkError::Unavailable(reason.into()))?;
        let plan = arena::plan(&graph);
        let memory = Aligned::zeroed(plan.len);
        let mut network = Self {
            xnn,
            graph,
            plan,
            memory,
            steps: Vec::new(),
        };
        for node in std::mem::take(&mut network.graph.nodes) {
            network.add(node)?;
        }
        Ok(network)
    }

    fn address(&mut self, tensor: TensorId) -> *mut f32 {
        // SAFETY: the plan's offsets lie inside the block it was sized for.
        unsafe { self.memory.as_mut_ptr().add(self.plan.offsets[tensor]) }
    }

    fn add(&mut self, node: Node) -> Result<()> {
        if let Kind::Conv(conv) = &node.kind
            && let from = self.graph.shapes[node.inputs[0]]
            && let Some(conv) = SparseConv::of(conv, from.channels, from.height * from.width)
        {
            let (input, output) = (node.inputs[0], node.output);
            self.steps.push(Step::Sparse {
                conv,
                input,
                output,
            });
            return Ok(());
        }
        let made = match &node.kind {
            Kind::Conv(conv) => Some(self.conv(conv, &node)?),
            Kind::MaxPool {
                kernel,
                stride,
                padding,
            } => Some(self.max_pool(*kernel, *stride, *padding, &node)?),
            Kind::Add { .. } => Some(self.addition(&node)?),
            _ => None,
        };
        match (made, &node.kind) {
            (Some(operator), Kind::Add { relu6: true }) => {
                self.steps
                    .extend([Step::Operator(operator), Step::Clamp6(node.output)]);
            }
            (Some(operator), _) => self.steps.push(Step::Operator(operator)),
            (None, _) => self.steps.push(Step::Plain(node)),
        }
        Ok(())
    }

    fn conv(&mut self, conv: &Conv, node: &Node) -> Result<Operator> {
        let (from, to) = (
            self.graph.shapes[node.inputs[0]],
            self.graph.shapes[node.output],
        );
        let (groups, group_in, group_out, flags) = if conv.depthwise {
            (from.channels as u32, 1, 1, ffi::FLAG_DEPTHWISE)
        } else {
            (1, from.channels, to.channels, 0)
        };
        let (low, high) = if conv.relu6 {
            (0.0, 6.0)
        } else {
            (f32::NEG_INFINITY, f32::INFINITY)
        };
        let Padding {
            top,
            right,
            bottom,
            left,
        } = conv.padding;
        let mut operator: Operator = null_mut();
        // SAFETY: lowering checked that weights and bias have the sizes named here; both are copied.
        let status = unsafe {
            (self.xnn.create_conv)(
                top as u32,
                right as u32,
                bottom as u32,
                left as u32,
                conv.kernel[0] as u32,
                conv.kernel[1] as u32,
                conv.stride[0] as u32,
                conv.stride[1] as u32,
                1,
                1,
                groups,
                group_in,
                group_out,
                from.channels,
                to.channels,
                conv.weights.as_ptr(),
                conv.bias.as_ptr(),
                low,
                high,
                flags,
                null_mut(),
                null_mut(),
                &mut operator,
            )
        };
        let guard = self.guard(operator, status, node)?;
        let (mut workspace, mut alignment, mut height, mut width) = (0, 0, 0, 0);
        let xnn = self.xnn;
        // SAFETY: a live operator; the out-pointers are locals.
        let status = unsafe {
            (xnn.reshape_conv)(
                guard.0,
                1,
                from.height,
                from.width,
                &mut workspace,
                &mut alignment,
                &mut height,
                &mut width,
                null_mut(),
            )
        };
        self.check(status, node)?;
        if workspace != 0 || (height, width) != (to.height, to.width) {
            return Err(refused(node, 0));
        }
        let (input, output) = (self.address(node.inputs[0]), self.address(node.output));
        // SAFETY: both addresses are inside the arena, sized for these shapes plus XNNPACK's overread.
        let status = unsafe { (xnn.setup_conv)(guard.0, null_mut(), input, output) };
        self.check(status, node)?;
        Ok(guard.keep())
    }

    fn max_pool(
        &mut self,
        kernel: [usize; 2],
        stride: [usize; 2],
        pad: Padding,
        node: &Node,
    ) -> Result<Operator> {
        let (from, to) = (
            self.graph.shapes[node.inputs[0]],
            self.graph.shapes[node.output],
        );
        let mut operator: Operator = null_mut();
        // SAFETY: plain numbers in, one out-pointer.
        let status = unsafe {
            (self.xnn.create_max_pool)(
                pad.top as u32,
                pad.right as u32,
                pad.bottom as u32,
                pad.left as u32,
                kernel[0] as u32,
                kernel[1] as u32,
                stride[0] as u32,
                stride[1] as u32,
                1,
                1,
                f32::NEG_INFINITY,
                f32::INFINITY,
                0,
                &mut operator,
            )
        };
        let guard = self.guard(operator, status, node)?;
        let (mut height, mut width) = (0, 0);
        let xnn = self.xnn;
        // SAFETY: a live operator; the out-pointers are locals.
        let status = unsafe {
            (xnn.reshape_max_pool)(
                guard.0,
                1,
                from.height,
                from.width,
                from.channels,
                from.channels,
                from.channels,
                &mut height,
                &mut width,
                null_mut(),
            )
        };
        self.check(status, node)?;
        if (height, width) != (to.height, to.width) {
            return Err(refused(node, 0));
        }
        let (input, output) = (self.address(node.inputs[0]), self.address(node.output));
        // SAFETY: both addresses are inside the arena.
        let status = unsafe { (xnn.setup_max_pool)(guard.0, input, output) };
        self.check(status, node)?;
        Ok(guard.keep())
    }

    fn addition(&mut self, node: &Node) -> Result<Operator> {
        use std::ptr::null;
        let mut operator: Operator = null_mut();
        // SAFETY: no quantisation for f32; one out-pointer.
        let status = unsafe {
            (self.xnn.create_binary)(
                ffi::BINARY_ADD,
                ffi::DATATYPE_FP32,
                null(),
                null(),
                null(),
                0,
                &mut operator,
            )
        };
        let guard = self.guard(operator, status, node)?;
        let shape = [self.graph.shapes[node.output].volume()];
        let xnn = self.xnn;
        // SAFETY: one-dimensional shapes, read during the call only.
        let status = unsafe {
            (xnn.reshape_binary)(guard.0, 1, shape.as_ptr(), 1, shape.as_ptr(), null_mut())
        };
        self.check(status, node)?;
        let (a, b) = (self.address(node.inputs[0]), self.address(node.inputs[1]));
        let output = self.address(node.output);
        // SAFETY: all addresses are inside the arena.
        let status = unsafe { (xnn.setup_binary)(guard.0, a, b, output) };
        self.check(status, node)?;
        Ok(guard.keep())
    }

    fn guard(&self, operator: Operator, status: Status, node: &Node) -> Result<Guard> {
        self.check(status, node)?;
        Ok(Guard(operator, self.xnn))
    }

    fn check(&self, status: Status, node: &Node) -> Result<()> {
        if status == 0 {
            Ok(())
        } else {
            Err(refused(node, status))
        }
    }

    pub fn input_mut(&mut self) -> &mut [f32] {
        let (offset, len) = (
            self.plan.offsets[self.graph.input],
            self.graph.shapes[self.graph.input].volume(),
        );
        &mut self.memory.as_mut_slice()[offset..offset + len]
    }

    /// One of the graph's outputs; valid after `run`.
    pub fn output(&self, index: usize) -> &[f32] {
        let tensor = self.graph.outputs[index];
        let (offset, len) = (
            self.plan.offsets[tensor],
            self.graph.shapes[tensor].volume(),
        );
        &self.memory.as_slice()[offset..offset + len]
    }

    pub fn run(&mut self) -> Result<()> {
        for step in &mut self.steps {
            match step {
                Step::Operator(operator) => {
                    // SAFETY: set up at load on memory this network owns; no thread pool: this thread only.
                    let status = unsafe { (self.xnn.run)(*operator, null_mut()) };
                    if status != 0 {
                        return Err(NetworkError::Failed(format!(
                            "XNNPACK stopped with status {status}"
                        )));
                    }
                }
                Step::Clamp6(tensor) => {
                    let (offset, len) = (
                        self.plan.offsets[*tensor],
                        self.graph.shapes[*tensor].volume(),
                    );
                    kernels::clamp6(&mut self.memory.as_mut_slice()[offset..offset + len]);
                }
                Step::Sparse {
                    conv,
                    input,
                    output,
                } => {
                    let memory = self.memory.as_mut_slice();
                    let (source, target) =
                        pair(&self.plan, &self.graph.shapes, memory, *input, *output);
                    conv.run(source, target);
                }
                Step::Plain(node) => {
                    plain(
                        node,
                        &self.graph.shapes,
                        &self.plan,
                        self.memory.as_mut_slice(),
                    );
                }
            }
        }
        Ok(())
    }
}

impl Drop for XnnNetwork {
    fn drop(&mut self) {
        for step in &self.steps {
            if let Step::Operator(operator) = step {
                // SAFETY: created here, deleted once.
                unsafe { (self.xnn.delete)(*operator) };
            }
        }
    }
}

/// Deletes a half-prepared operator when its preparation fails.
struct Guard(Operator, &'static Xnn);

impl Guard {
    fn keep(self) -> Operator {
        let operator = self.0;
        std::mem::forget(self);
        operator
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: created successfully and not handed on.
        unsafe { (self.1.delete)(self.0) };
    }
}

fn refused(node: &Node, status: Status) -> NetworkError {
    NetworkError::Unavailable(format!(
        "XNNPACK refused a {} (status {status})",
        node.kind.name()
    ))
}

/// What a step reads and what it writes; the plan keeps the two apart.
fn pair<'m>(
    plan: &Plan,
    shapes: &[Shape],
    memory: &'m mut [f32],
    input: TensorId,
    output: TensorId,
) -> (&'m [f32], &'m mut [f32]) {
    let (from, to) = (plan.offsets[input], plan.offsets[output]);
    let (read, written) = (shapes[input].volume(), shapes[output].volume());
    if from < to {
        let (low, high) = memory.split_at_mut(to);
        (&low[from..from + read], &mut high[..written])
    } else {
        let (low, high) = memory.split_at_mut(from);
        (&high[..read], &mut low[to..to + written])
    }
}

/// The steps done here. Tensors of one step never overlap (the plan keeps them apart).
fn plain(node: &Node, shapes: &[Shape], plan: &Plan, memory: &mut [f32]) {
    if let Kind::Concat = node.kind {
        let mut at = plan.offsets[node.output];
        for &input in &node.inputs {
            let (from, len) = (plan.offsets[input], shapes[input].volume());
            memory.copy_within(from..from + len, at);
            at += len;
        }
        return;
    }
    let (from, to) = (shapes[node.inputs[0]], shapes[node.output]);
    let (source, target) = pair(plan, shapes, memory, node.inputs[0], node.output);
    match node.kind {
        Kind::Resize => kernels::resize(source, from, target, to),
        Kind::DepthToSpace { block } => kernels::depth_to_space(source, from, block, target),
        Kind::Pad { spatial, .. } => kernels::pad(source, from, spatial, target, to),
        Kind::Sigmoid => target
            .iter_mut()
            .zip(source)
            .for_each(|(t, s)| *t = kernels::sigmoid(*s)),
        Kind::Conv(_) | Kind::Add { .. } | Kind::MaxPool { .. } | Kind::Concat => {}
    }
}
