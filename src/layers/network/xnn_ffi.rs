//! The few XNNPACK functions that libtorch exports, found at run time.
//!
//! Signatures: `xnnpack.h` as shipped with libtorch 2.11.0. Where a build of libtorch does not
//! export them (or is another version), `load` says so and networks run through tensors instead.

use std::ffi::c_void;
use std::sync::OnceLock;

use crate::runtime::symbols::function;

/// `xnn_operator_t`
pub type Operator = *mut c_void;
/// `enum xnn_status`; 0 is success.
pub type Status = i32;

pub const BINARY_ADD: i32 = 0;
pub const DATATYPE_FP32: i32 = 1;
pub const FLAG_DEPTHWISE: u32 = 1;

type CreateConv = unsafe extern "C" fn(
    pad_top: u32,
    pad_right: u32,
    pad_bottom: u32,
    pad_left: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_height: u32,
    stride_width: u32,
    dilation_height: u32,
    dilation_width: u32,
    groups: u32,
    group_input_channels: usize,
    group_output_channels: usize,
    input_channel_stride: usize,
    output_channel_stride: usize,
    kernel: *const f32,
    bias: *const f32,
    output_min: f32,
    output_max: f32,
    flags: u32,
    code_cache: *mut c_void,
    weights_cache: *mut c_void,
    operator: *mut Operator,
) -> Status;
type ReshapeConv = unsafe extern "C" fn(
    operator: Operator,
    batch: usize,
    height: usize,
    width: usize,
    workspace_size: *mut usize,
    workspace_alignment: *mut usize,
    output_height: *mut usize,
    output_width: *mut usize,
    threadpool: *mut c_void,
) -> Status;
type SetupConv = unsafe extern "C" fn(
    operator: Operator,
    workspace: *mut c_void,
    input: *const f32,
    output: *mut f32,
) -> Status;
type CreateMaxPool = unsafe extern "C" fn(
    pad_top: u32,
    pad_right: u32,
    pad_bottom: u32,
    pad_left: u32,
    pooling_height: u32,
    pooling_width: u32,
    stride_height: u32,
    stride_width: u32,
    dilation_height: u32,
    dilation_width: u32,
    output_min: f32,
    output_max: f32,
    flags: u32,
    operator: *mut Operator,
) -> Status;
type ReshapeMaxPool = unsafe extern "C" fn(
    operator: Operator,
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    input_stride: usize,
    output_stride: usize,
    output_height: *mut usize,
    output_width: *mut usize,
    threadpool: *mut c_void,
) -> Status;
type SetupUnary =
    unsafe extern "C" fn(operator: Operator, input: *const f32, output: *mut f32) -> Status;
type CreateBinary = unsafe extern "C" fn(
    kind: i32,
    datatype: i32,
    first: *const c_void,
    second: *const c_void,
    output: *const c_void,
    flags: u32,
    operator: *mut Operator,
) -> Status;
type ReshapeBinary = unsafe extern "C" fn(
    operator: Operator,
    first_dims: usize,
    first: *const usize,
    second_dims: usize,
    second: *const usize,
    threadpool: *mut c_void,
) -> Status;
type SetupBinary = unsafe extern "C" fn(
    operator: Operator,
    first: *const f32,
    second: *const f32,
    output: *mut f32,
) -> Status;
type Run = unsafe extern "C" fn(operator: Operator, threadpool: *mut c_void) -> Status;
type Delete = unsafe extern "C" fn(operator: Operator) -> Status;
type Initialize = unsafe extern "C" fn(allocator: *const c_void) -> Status;

/// The functions, by what they do.
pub struct Xnn {
    pub create_conv: CreateConv,
    pub reshape_conv: ReshapeConv,
    pub setup_conv: SetupConv,
    pub create_max_pool: CreateMaxPool,
    pub reshape_max_pool: ReshapeMaxPool,
    pub setup_max_pool: SetupUnary,
    pub create_binary: CreateBinary,
    pub reshape_binary: ReshapeBinary,
    pub setup_binary: SetupBinary,
    pub run: Run,
    pub delete: Delete,
}

/// The functions of the libtorch in this process, or why there are none.
pub fn load() -> Result<&'static Xnn, &'static str> {
    static LOADED: OnceLock<Result<Xnn, String>> = OnceLock::new();
    LOADED.get_or_init(find).as_ref().map_err(String::as_str)
}

fn find() -> Result<Xnn, String> {
    fn symbol<T: Copy>(name: &str) -> Result<T, String> {
        // SAFETY: the types above are those of xnnpack.h of the pinned libtorch.
        unsafe { function(name) }.ok_or_else(|| format!("this libtorch does not export {name}"))
    }
    macro_rules! symbol {
        ($name:literal) => {
            symbol($name)?
        };
    }
    let initialize: Initialize = symbol!("xnn_initialize");
    // SAFETY: a null allocator asks for the default one; the call may be repeated.
    if unsafe { initialize(std::ptr::null()) } != 0 {
        return Err("XNNPACK does not support this processor".into());
    }
    Ok(Xnn {
        create_conv: symbol!("xnn_create_convolution2d_nhwc_f32"),
        reshape_conv: symbol!("xnn_reshape_convolution2d_nhwc_f32"),
        setup_conv: symbol!("xnn_setup_convolution2d_nhwc_f32"),
        create_max_pool: symbol!("xnn_create_max_pooling2d_nhwc_f32"),
        reshape_max_pool: symbol!("xnn_reshape_max_pooling2d_nhwc_f32"),
        setup_max_pool: symbol!("xnn_setup_max_pooling2d_nhwc_f32"),
        create_binary: symbol!("xnn_create_binary_elementwise_nd"),
        reshape_binary: symbol!("xnn_reshape_binary_elementwise_nd"),
        setup_binary: symbol!("xnn_setup_binary_elementwise_nd"),
        run: symbol!("xnn_run_operator"),
        delete: symbol!("xnn_delete_operator"),
    })
}
