//! May it pass?

pub(crate) mod security_group;
pub(crate) mod source_check;
