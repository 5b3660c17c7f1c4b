//! What the API takes: each action with its parameters, and how each of them stands. `docs/api.md` is made of it.

use super::query::{Limit, Scalar};

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// As EC2 calls it.
    pub name: &'static str,
    /// What can be given with it, but for `DryRun`, which every action takes.
    pub parameters: Vec<Parameter>,
}

/// A parameter of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As it stands in a request ("Amazon EC2 API Reference", "Query requests"), with `N` for each index, such as
    /// `Filter.N.Value.N`.
    pub name: String,
    /// What becomes of it.
    pub standing: Standing,
}

/// What becomes of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is carried out, whatever text it is.
    Text,
    /// It is carried out, a whole number.
    Number,
    /// It is carried out, `true` or `false`.
    Boolean,
    /// It is carried out with these values, and refused with any other.
    Only(&'static [&'static str]),
    /// It is refused, with all that is below its name.
    Refused,
}

impl Parameter {
    pub(super) fn taken((name, scalar): (String, Scalar)) -> Parameter {
        let standing = match scalar {
            Scalar::Text => Standing::Text,
            Scalar::Number => Standing::Number,
            Scalar::Boolean => Standing::Boolean,
            Scalar::Word(words) => Standing::Only(words),
        };
        Parameter { name, standing }
    }

    pub(super) fn limited((name, values): &Limit) -> Parameter {
        let standing = if values.is_empty() { Standing::Refused } else { Standing::Only(values) };
        Parameter { name: (*name).to_owned(), standing }
    }
}
