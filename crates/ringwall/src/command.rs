//! One verb each.

pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod lab;
mod requirements;
