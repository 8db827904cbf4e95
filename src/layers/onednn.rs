//! Matrix products with weights laid out once for oneDNN's kernels, through libtorch's C interface.
//!
//! What `torch.compile` does with frozen weights: `mkldnn::_reorder_linear_weight` once, then
//! `mkldnn::_linear_pointwise` with the activation or the sum in the same pass. tch wraps neither;
//! the C functions are those of `torch/csrc/inductor/aoti_torch/c/{shim,shim_cpu}.h` of PyTorch 2.11.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::OnceLock;

use tch::{Device, Kind, TchError, Tensor};

use crate::runtime::symbols::function;

/// `AtenTensorHandle`: a pointer to an `at::Tensor`, as tch holds one.
type Handle = *mut c_void;
/// `StableIValue`: a value or a handle in eight bytes.
type Value = u64;

type Dispatch =
    unsafe extern "C" fn(name: *const c_char, overload: *const c_char, stack: *mut Value) -> i32;
type NewHandle = unsafe extern "C" fn(of: Handle, new: *mut Handle) -> i32;
type Pointwise = unsafe extern "C" fn(
    x: Handle,
    weight: Handle,
    bias: *mut Handle,
    activation: *const c_char,
    scalars: *const *const f64,
    scalars_len: i64,
    algorithm: *const *const c_char,
    result: *mut Handle,
) -> i32;
type Binary = unsafe extern "C" fn(
    x: Handle,
    other: Handle,
    weight: Handle,
    bias: *mut Handle,
    operation: *const c_char,
    result: *mut Handle,
) -> i32;

type Convolution = unsafe extern "C" fn(
    x: Handle,
    weight: Handle,
    bias: *mut Handle,
    padding: *const i64,
    padding_len: i64,
    stride: *const i64,
    stride_len: i64,
    dilation: *const i64,
    dilation_len: i64,
    groups: i64,
    activation: *const c_char,
    scalars: *const *const f64,
    scalars_len: i64,
    algorithm: *const *const c_char,
    result: *mut Handle,
) -> i32;

struct Functions {
    dispatch: Dispatch,
    new_handle: NewHandle,
    pointwise: Pointwise,
    binary: Binary,
    convolution: Convolution,
    /// Whether the processor has the instructions oneDNN wants for bfloat16.
    bf16: bool,
}

/// What follows a product in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    Relu,
    /// A rectifier that ends at six.
    Relu6,
    /// With the error function, not the tanh approximation.
    Gelu,
}

/// The bounds of [`Then::Relu6`].
static TO_SIX: [&f64; 2] = [&0.0, &6.0];

impl Then {
    /// oneDNN's name, and what it needs beside it.
    fn attribute(
        self,
    ) -> (
        &'static CStr,
        &'static [&'static f64],
        Option<&'static CStr>,
    ) {
        match self {
            Self::Nothing => (c"none", &[], None),
            Self::Relu => (c"relu", &[], None),
            Self::Relu6 => (c"hardtanh", &TO_SIX, None),
            Self::Gelu => (c"gelu", &[], Some(c"none")),
        }
    }
}

/// A weight `[out, in]` in the layout of oneDNN's kernels; other operators do not understand it.
#[derive(Debug)]
pub struct Packed(Tensor);

impl Packed {
    /// `None` where oneDNN has no faster layout to offer: other devices and types, other builds.
    pub fn new(weight: &Tensor) -> Result<Option<Self>, TchError> {
        let Some(functions) = functions() else {
            return Ok(None);
        };
        let worth_it = match weight.f_kind()? {
            Kind::Float => true,
            Kind::BFloat16 => functions.bf16,
            _ => false,
        };
        if !worth_it || weight.device() != Device::Cpu {
            return Ok(None);
        }
        let mut own = ptr::null_mut();
        // SAFETY: a live tensor's handle; the new one is a reference of its own.
        let status = unsafe { (functions.new_handle)(handle(weight), &raw mut own) };
        check(status, "aoti_torch_new_tensor_handle")?;
        // The tensor, which the call takes over, and no batch size.
        let mut stack: [Value; 2] = [own as Value, 0];
        // SAFETY: the stack matches the schema `(Tensor self, int? batch_size=None) -> Tensor`.
        let status = unsafe {
            (functions.dispatch)(
                c"mkldnn::_reorder_linear_weight".as_ptr(),
                c"".as_ptr(),
                stack.as_mut_ptr(),
            )
        };
        check(status, "mkldnn::_reorder_linear_weight")?;
        Ok(Some(Self(tensor(stack[0] as Handle)?)))
    }

    /// `then(x Wᵀ + b)`; `x` is `[…, in]` of the weight's type.
    pub fn linear(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        then: Then,
    ) -> Result<Tensor, TchError> {
        let functions = functions().ok_or_else(gone)?;
        let (activation, scalars, algorithm) = then.attribute();
        let algorithm = algorithm.map(CStr::as_ptr);
        let mut bias = bias.map(handle);
        let mut result = ptr::null_mut();
        // SAFETY: handles of live tensors, only borrowed; strings end in nul; optional arguments
        // are null or point to their value.
        let status = unsafe {
            (functions.pointwise)(
                handle(x),
                handle(&self.0),
                pointer_mut(&mut bias),
                activation.as_ptr(),
                // A reference is a pointer.
                scalars.as_ptr().cast(),
                scalars.len() as i64,
                algorithm.as_ref().map_or(ptr::null(), ptr::from_ref),
                &raw mut result,
            )
        };
        check(status, "mkldnn::_linear_pointwise")?;
        tensor(result)
    }

    /// `x Wᵀ + b + other`, in the weight's type.
    pub fn linear_add(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        other: &Tensor,
    ) -> Result<Tensor, TchError> {
        let functions = functions().ok_or_else(gone)?;
        let mut bias = bias.map(handle);
        let mut result = ptr::null_mut();
        // SAFETY: as in `linear`.
        let status = unsafe {
            (functions.binary)(
                handle(x),
                handle(other),
                handle(&self.0),
                pointer_mut(&mut bias),
                c"add".as_ptr(),
                &raw mut result,
            )
        };
        check(status, "mkldnn::_linear_pointwise.binary")?;
        tensor(result)
    }
}

/// Where and how a convolution looks.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub stride: i64,
    pub padding: i64,
    pub groups: i64,
}

/// Whether [`convolve`] may be called with such tensors.
pub fn convolves(kind: Kind, device: Device) -> bool {
    let known = match kind {
        Kind::Float => functions().is_some(),
        Kind::BFloat16 => functions().is_some_and(|f| f.bf16),
        _ => false,
    };
    known && device == Device::Cpu
}

/// `weight` `[out, in / groups, k, k]` in the layout of oneDNN's kernels for [`convolve`], where it
/// takes such; other operators do not understand it.
pub fn lay_out(weight: Tensor, window: Window) -> Result<Tensor, TchError> {
    let (_, _, height, width) = weight.size4()?;
    // The layout for single places fits no stride but one.
    if height * width == 1 || !convolves(weight.f_kind()?, weight.device()) {
        return Ok(weight);
    }
    let (padding, stride, dilation) = ([window.padding; 2], [window.stride; 2], [1; 2]);
    let none: Option<&[i64]> = None;
    weight.f_to_mkldnn(None)?.f_mkldnn_reorder_conv2d_weight(
        padding,
        stride,
        dilation,
        window.groups,
        none,
    )
}

/// `then` of a convolution of `x` `[n, in, h, w]` with `weight` `[out, in / groups, k, k]`. Where either has its channels last in memory, the result has.
pub fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Window,
    then: Then,
) -> Result<Tensor, TchError> {
    let functions = functions().ok_or_else(gone)?;
    let (padding, stride, dilation) = ([window.padding; 2], [window.stride; 2], [1; 2]);
    let (activation, scalars, algorithm) = then.attribute();
    let algorithm = algorithm.map(CStr::as_ptr);
    let mut bias = bias.map(handle);
    let mut result = ptr::null_mut();
    // SAFETY: handles of live tensors, only borrowed; arrays have the lengths given; strings end
    // in nul; optional arguments are null or point to their value.
    let status = unsafe {
        (functions.convolution)(
            handle(x),
            handle(weight),
            pointer_mut(&mut bias),
            padding.as_ptr(),
            2,
            stride.as_ptr(),
            2,
            dilation.as_ptr(),
            2,
            window.groups,
            activation.as_ptr(),
            // A reference is a pointer.
            scalars.as_ptr().cast(),
            scalars.len() as i64,
            algorithm.as_ref().map_or(ptr::null(), ptr::from_ref),
            &raw mut result,
        )
    };
    check(status, "mkldnn::_convolution_pointwise")?;
    tensor(result)
}

fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(find).as_ref()
}

fn find() -> Option<Functions> {
    // SAFETY: the types above are those of the headers named at the top.
    let mut found = unsafe {
        Functions {
            dispatch: function("aoti_torch_call_dispatcher")?,
            new_handle: function("aoti_torch_new_tensor_handle")?,
            pointwise: function("aoti_torch_cpu__linear_pointwise")?,
            binary: function("aoti_torch_cpu__linear_pointwise_binary")?,
            convolution: function("aoti_torch_cpu_mkldnn__convolution_pointwise")?,
            bf16: false,
        }
    };
    let mut stack: [Value; 1] = [0];
    // SAFETY: the stack matches the schema `() -> bool`.
    let status = unsafe {
        (found.dispatch)(
            c"mkldnn::_is_mkldnn_bf16_supported".as_ptr(),
            c"".as_ptr(),
            stack.as_mut_ptr(),
        )
    };
    found.bf16 = status == 0 && stack[0] & 1 == 1;
    (status == 0).then_some(found)
}

fn handle(tensor: &Tensor) -> Handle {
    tensor.as_ptr().cast_mut().cast()
}

fn tensor(handle: Handle) -> Result<Tensor, TchError> {
    if handle.is_null() {
        return Err(TchError::Torch("no tensor came back".into()));
    }
    // SAFETY: a new `at::Tensor` on libtorch's heap that is ours alone, as tch expects.
    Ok(unsafe { Tensor::from_ptr(handle.cast()) })
}

fn pointer_mut(handle: &mut Option<Handle>) -> *mut Handle {
    handle.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

/// The interface gives only a status; libtorch writes its reason to standard error.
fn check(status: i32, what: &str) -> Result<(), TchError> {
    if status == 0 {
        return Ok(());
    }
    Err(TchError::Torch(format!(
        "{what} failed (libtorch says why on standard error)"
    )))
}

fn gone() -> TchError {
    TchError::Torch("this libtorch has no oneDNN".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(shape: &[i64], kind: Kind) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(kind)
    }

    fn furthest(a: &Tensor, b: &Tensor) -> f64 {
        let difference = a.to_kind(Kind::Double) - b.to_kind(Kind::Double);
        difference.abs().max().double_value(&[])
    }

    #[test]
    fn the_same_numbers_as_without_packing() {
        for (kind, near) in [(Kind::Float, 1e-5), (Kind::BFloat16, 0.07)] {
            let weight = random(&[48, 32], kind) * 0.2;
            let Some(packed) = Packed::new(&weight).unwrap() else {
                continue;
            };
            let bias = random(&[48], kind);
            let x = random(&[2, 5, 32], kind);
            let other = random(&[2, 5, 48], kind);
            for bias in [None, Some(&bias)] {
                let plain = x.linear(&weight, bias);
                let ours = packed.linear(&x, bias, Then::Nothing).unwrap();
                assert_eq!((ours.size(), ours.kind()), (vec![2, 5, 48], kind));
                assert!(furthest(&ours, &plain) < near, "{kind:?}");
                let ours = packed.linear(&x, bias, Then::Gelu).unwrap();
                assert!(furthest(&ours, &plain.gelu("none")) < near, "{kind:?} gelu");
                let ours = packed.linear(&x, bias, Then::Relu6).unwrap();
                assert!(
                    furthest(&ours, &plain.clamp(0.0, 6.0)) < near,
                    "{kind:?} to six"
                );
                let ours = packed.linear_add(&x, bias, &other).unwrap();
                assert!(furthest(&ours, &(plain + &other)) < near, "{kind:?} sum");
            }
        }
    }

    #[test]
    fn convolutions_are_libtorchs_own() {
        for (kind, near) in [(Kind::Float, 1e-4), (Kind::BFloat16, 0.15)] {
            if !convolves(kind, Device::Cpu) {
                continue;
            }
            let x = random(&[1, 8, 9, 7], kind);
            let window = Window {
                stride: 2,
                padding: 1,
                groups: 2,
            };
            let weight = random(&[6, 4, 3, 3], kind);
            let bias = random(&[6], kind);
            let plain = x.conv2d(&weight, Some(&bias), [2, 2], [1, 1], [1, 1], 2);
            let ours = convolve(&x, &weight, Some(&bias), window, Then::Relu).unwrap();
            assert!(furthest(&ours, &plain.relu()) < near, "{kind:?}");
            let (x, plain) = (&x * 4, (&plain - bias.view([1, -1, 1, 1])) * 4);
            let ours = convolve(&x, &weight, None, window, Then::Relu6).unwrap();
            let capped = plain.clamp(0.0, 6.0);
            assert!(furthest(&ours, &capped) < 4.0 * near, "{kind:?} to six");
            let laid_out = lay_out(weight.copy(), window).unwrap();
            let plain = convolve(&x, &weight, None, window, Then::Nothing).unwrap();
            let ours = convolve(&x, &laid_out, None, window, Then::Nothing).unwrap();
            assert!(furthest(&ours, &plain) < 4.0 * near, "{kind:?} laid out");
            let wrong = random(&[6, 5, 3, 3], kind);
            assert!(convolve(&x, &wrong, None, window, Then::Nothing).is_err());
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_no_abort() {
        let Some(packed) = Packed::new(&random(&[8, 6], Kind::Float)).unwrap() else {
            return;
        };
        let x = random(&[3, 7], Kind::Float);
        assert!(packed.linear(&x, None, Then::Nothing).is_err());
    }

    #[test]
    fn types_onednn_does_not_pack_stay_as_they_are() {
        let weight = random(&[8, 6], Kind::Double);
        assert!(Packed::new(&weight).unwrap().is_none());
    }
}
