//! Floor 6: the only user of napi: JS values in, JS values out, stable error codes.
