//! As whom?

pub(crate) mod internet_gateway;
pub(crate) mod nat_gateway;
