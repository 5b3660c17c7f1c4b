//! serde's view of XML.

use std::fmt::Display;

use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

/// A value that has no form in XML as EC2 writes it.
#[derive(Debug, thiserror::Error)]
#[error("not an answer that XML can hold: {0}")]
pub(crate) struct Unfit(String);

/// The name of a newtype that is not written.
pub(in crate::ec2) const HIDDEN: &str = "hidden";

/// What stands between the tags of an element.
pub(super) struct Content<'a>(pub(super) &'a mut String);

/// Writes an element.
pub(super) fn element<T: Serialize + ?Sized>(text: &mut String, name: &str, value: &T) -> Result<(), Unfit> {
    let before = text.len();
    text.extend(["<", name, ">"]);
    let Written(there) = value.serialize(Content(text))?;
    if there {
        text.extend(["</", name, ">"]);
    } else {
        text.truncate(before);
    }
    Ok(())
}

/// Whether there was anything to write: None is nothing, an empty text or list is something.
pub(super) struct Written(bool);

const SOMETHING: Written = Written(true);

/// The members of a struct or the items of a list.
pub(super) struct Children<'a>(&'a mut String);

impl Content<'_> {
    /// Text, escaped. A carriage return as such would be read back as a line feed (XML 1.0, section 2.11).
    fn text(self, value: &str) -> Result<Written, Unfit> {
        for c in value.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#13;"),
                other => self.0.push(other),
            }
        }
        Ok(SOMETHING)
    }

    fn display(self, value: impl Display) -> Result<Written, Unfit> {
        self.text(&value.to_string())
    }
}

macro_rules! displayed {
    ($($method:ident $type:ty)*) => {$(
        fn $method(self, value: $type) -> Result<Written, Unfit> {
            self.display(value)
        }
    )*};
}

impl<'a> Serializer for Content<'a> {
    type Ok = Written;
    type Error = Unfit;
    type SerializeSeq = Children<'a>;
    type SerializeTuple = Impossible<Written, Unfit>;
    type SerializeTupleStruct = Impossible<Written, Unfit>;
    type SerializeTupleVariant = Impossible<Written, Unfit>;
    type SerializeMap = Impossible<Written, Unfit>;
    type SerializeStruct = Children<'a>;
    type SerializeStructVariant = Impossible<Written, Unfit>;

    displayed! {
        serialize_bool bool
        serialize_i8 i8
        serialize_i16 i16
        serialize_i32 i32
        serialize_i64 i64
        serialize_u8 u8
        serialize_u16 u16
        serialize_u32 u32
        serialize_u64 u64
        serialize_f32 f32
        serialize_f64 f64
        serialize_char char
    }

    fn serialize_str(self, value: &str) -> Result<Written, Unfit> {
        self.text(value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Written, Unfit> {
        Err(unfit("bytes"))
    }

    fn serialize_none(self) -> Result<Written, Unfit> {
        Ok(Written(false))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Written, Unfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Written, Unfit> {
        Ok(SOMETHING)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Written, Unfit> {
        Ok(SOMETHING)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Written, Unfit> {
        self.text(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Written, Unfit> {
        if name == HIDDEN { Ok(Written(false)) } else { value.serialize(self) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Written, Unfit> {
        Err(unfit("a variant with a value"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Children<'a>, Unfit> {
        Ok(Children(self.0))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unfit> {
        Err(unfit("a tuple"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unfit> {
        Err(unfit("a tuple"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unfit> {
        Err(unfit("a variant with values"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unfit> {
        Err(unfit("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Children<'a>, Unfit> {
        Ok(Children(self.0))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unfit> {
        Err(unfit("a variant with members"))
    }
}

impl SerializeSeq for Children<'_> {
    type Ok = Written;
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        element(self.0, "item", value)
    }

    fn end(self) -> Result<Written, Unfit> {
        Ok(SOMETHING)
    }
}

impl SerializeStruct for Children<'_> {
    type Ok = Written;
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unfit> {
        element(self.0, name, value)
    }

    fn end(self) -> Result<Written, Unfit> {
        Ok(SOMETHING)
    }
}

fn unfit(what: &str) -> Unfit {
    Unfit(what.to_owned())
}

impl ser::Error for Unfit {
    fn custom<T: Display>(message: T) -> Self {
        Unfit(message.to_string())
    }
}
