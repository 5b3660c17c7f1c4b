//! One verb each.

pub(crate) mod apply;
pub(crate) mod clock;
pub(crate) mod enter;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod lab;
mod requirements;
pub(crate) mod serve;
