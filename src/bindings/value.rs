//! A JS value looked at without trust: wrong types and throwing getters become plain errors.

use std::ptr;

use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{ValueType, sys};

/// A value of the running callback; it must not outlive it, and nothing here lets it.
#[derive(Clone, Copy)]
pub struct Value {
    env: sys::napi_env,
    raw: sys::napi_value,
}

impl FromNapiValue for Value {
    unsafe fn from_napi_value(env: sys::napi_env, raw: sys::napi_value) -> napi::Result<Self> {
        Ok(Self { env, raw })
    }
}

impl TypeName for Value {
    fn type_name() -> &'static str {
        "unknown"
    }

    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

impl ValidateNapiValue for Value {
    unsafe fn validate(_: sys::napi_env, _: sys::napi_value) -> napi::Result<sys::napi_value> {
        Ok(ptr::null_mut())
    }
}

/// Why a property could not be read.
#[derive(Debug)]
pub struct Unreadable;

/// Bytes of a typed array.
pub enum Bytes<'a> {
    Here(&'a [u8]),
    /// Its buffer was transferred elsewhere.
    Detached,
    /// Not a Uint8Array or Buffer.
    Other,
}

impl Value {
    pub fn kind(&self) -> ValueType {
        let mut kind = 0;
        // SAFETY: both handles belong to the running callback.
        let status = unsafe { sys::napi_typeof(self.env, self.raw, &mut kind) };
        if status == sys::Status::napi_ok {
            ValueType::from(kind)
        } else {
            ValueType::Unknown
        }
    }

    /// `undefined` or `null`.
    pub fn is_absent(&self) -> bool {
        matches!(self.kind(), ValueType::Undefined | ValueType::Null)
    }

    pub fn is_object(&self) -> bool {
        self.kind() == ValueType::Object
    }

    fn made(&self, status: sys::napi_status, raw: sys::napi_value) -> Result<Self, Unreadable> {
        if status == sys::Status::napi_ok && !raw.is_null() {
            return Ok(Self { env: self.env, raw });
        }
        let mut thrown = ptr::null_mut();
        // SAFETY: as above. A getter's exception must not stay behind: it would be thrown at
        // the end of the whole call.
        unsafe { sys::napi_get_and_clear_last_exception(self.env, &mut thrown) };
        Err(Unreadable)
    }

    /// The property, `undefined` where there is none.
    pub fn get(&self, name: &str) -> Result<Self, Unreadable> {
        let (mut key, mut raw) = (ptr::null_mut(), ptr::null_mut());
        let length = isize::try_from(name.len()).map_err(|_| Unreadable)?;
        // SAFETY: the name is valid for its length; handles as above.
        unsafe {
            let status =
                sys::napi_create_string_utf8(self.env, name.as_ptr().cast(), length, &mut key);
            let key = self.made(status, key)?.raw;
            let status = sys::napi_get_property(self.env, self.raw, key, &mut raw);
            self.made(status, raw)
        }
    }

    pub fn array_length(&self) -> Option<u32> {
        let (mut is_array, mut length) = (false, 0);
        // SAFETY: as above.
        let ok = unsafe {
            sys::napi_is_array(self.env, self.raw, &mut is_array) == sys::Status::napi_ok
                && is_array
                && sys::napi_get_array_length(self.env, self.raw, &mut length)
                    == sys::Status::napi_ok
        };
        ok.then_some(length)
    }

    pub fn at(&self, index: u32) -> Result<Self, Unreadable> {
        let mut raw = ptr::null_mut();
        // SAFETY: as above.
        let status = unsafe { sys::napi_get_element(self.env, self.raw, index, &mut raw) };
        self.made(status, raw)
    }

    pub fn number(&self) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: as above; fails on anything that is not a number.
        let status = unsafe { sys::napi_get_value_double(self.env, self.raw, &mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    pub fn boolean(&self) -> Option<bool> {
        let mut value = false;
        // SAFETY: as above.
        let status = unsafe { sys::napi_get_value_bool(self.env, self.raw, &mut value) };
        (status == sys::Status::napi_ok).then_some(value)
    }

    pub fn string(&self) -> Option<String> {
        if self.kind() != ValueType::String {
            return None;
        }
        // SAFETY: as above.
        unsafe { String::from_napi_value(self.env, self.raw) }.ok()
    }

    /// The object's own property names.
    pub fn keys(&self) -> Vec<String> {
        let mut raw = ptr::null_mut();
        // SAFETY: as above.
        let status = unsafe { sys::napi_get_property_names(self.env, self.raw, &mut raw) };
        let Ok(names) = self.made(status, raw) else {
            return Vec::new();
        };
        (0..names.array_length().unwrap_or(0))
            .filter_map(|i| names.at(i).ok()?.string())
            .collect()
    }

    fn typed_array(&self) -> Option<(i32, usize, *mut std::ffi::c_void, Self)> {
        let mut is_typed = false;
        let (mut kind, mut length, mut offset) = (0, 0, 0);
        let (mut data, mut buffer) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: as above.
        let ok = unsafe {
            sys::napi_is_typedarray(self.env, self.raw, &mut is_typed) == sys::Status::napi_ok
                && is_typed
                && sys::napi_get_typedarray_info(
                    self.env,
                    self.raw,
                    &mut kind,
                    &mut length,
                    &mut data,
                    &mut buffer,
                    &mut offset,
                ) == sys::Status::napi_ok
        };
        ok.then_some((
            kind,
            length,
            data,
            Self {
                env: self.env,
                raw: buffer,
            },
        ))
    }

    fn is_detached(&self) -> bool {
        let mut detached = false;
        // SAFETY: as above.
        let status =
            unsafe { sys::napi_is_detached_arraybuffer(self.env, self.raw, &mut detached) };
        status == sys::Status::napi_ok && detached
    }

    /// What a Buffer or Uint8Array holds now. The slice is for copying at once: it is JS memory.
    pub fn bytes(&self) -> Bytes<'_> {
        let Some((kind, length, data, buffer)) = self.typed_array() else {
            return Bytes::Other;
        };
        if kind != sys::TypedarrayType::uint8_array {
            return Bytes::Other;
        }
        if buffer.is_detached() {
            return Bytes::Detached;
        }
        if length == 0 || data.is_null() {
            return Bytes::Here(&[]);
        }
        // SAFETY: V8 vouches for `length` bytes at `data` while no JS runs.
        Bytes::Here(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) })
    }

    /// The numbers of a Float32Array or an array of numbers.
    pub fn floats(&self) -> Option<Vec<f32>> {
        if let Some((kind, length, data, buffer)) = self.typed_array() {
            if kind != sys::TypedarrayType::float32_array || buffer.is_detached() {
                return None;
            }
            if length == 0 || data.is_null() {
                return Some(Vec::new());
            }
            // SAFETY: as in `bytes`; a Float32Array is aligned by construction.
            let floats = unsafe { std::slice::from_raw_parts(data.cast::<f32>(), length) };
            return Some(floats.to_vec());
        }
        let length = self.array_length()?;
        (0..length)
            .map(|i| Some(self.at(i).ok()?.number()? as f32))
            .collect()
    }

    /// For messages: the type, and the value where it is short.
    pub fn describe(&self) -> String {
        match self.kind() {
            ValueType::Undefined => "undefined".into(),
            ValueType::Null => "null".into(),
            ValueType::Boolean => format!("{}", self.boolean().unwrap_or_default()),
            ValueType::Number => format!("{}", self.number().unwrap_or(f64::NAN)),
            ValueType::String => match self.string() {
                Some(text) if text.chars().count() <= 40 => format!("{text:?}"),
                _ => "a long string".into(),
            },
            ValueType::Function => "a function".into(),
            ValueType::BigInt => "a bigint".into(),
            ValueType::Symbol => "a symbol".into(),
            _ if self.array_length().is_some() => "an array".into(),
            _ => self
                .class_name()
                .map_or_else(|| "an object".into(), |n| format!("a(n) {n}")),
        }
    }

    fn class_name(&self) -> Option<String> {
        let constructor = self.get("constructor").ok()?;
        constructor
            .get("name")
            .ok()?
            .string()
            .filter(|n| n != "Object" && n.len() <= 40)
    }
}
