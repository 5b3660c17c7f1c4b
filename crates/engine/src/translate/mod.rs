//! As whom?

pub(crate) mod internet_gateway;
