//! Which parameters a struct takes, found by asking serde: no value is needed, and nothing is listed twice.

use std::cell::RefCell;
use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
};

use super::deserializer::below;

/// What a parameter's value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ec2) enum Scalar {
    Text,
    Number,
    Boolean,
    /// One of these.
    Word(&'static [&'static str]),
}

/// Each parameter that a `T` is made of, `N` for each index, in the order of its members.
pub(in crate::ec2) fn outline<T: DeserializeOwned>() -> Vec<(String, Scalar)> {
    let mut scalars = Vec::new();
    look_below::<T>(&mut Vec::new(), &mut scalars);
    scalars
}

/// A struct can be entered on one way only, and what is made of it must fail: it is entered anew for each of its
/// members.
fn look_below<T: DeserializeOwned>(way: &mut Vec<&'static str>, scalars: &mut Vec<(String, Scalar)>) {
    let found = RefCell::new(None);
    let _ = T::deserialize(Walk { rest: way, found: &found });
    let members = match found.into_inner() {
        Some(Found::Scalar(scalar)) => {
            let name = way.iter().fold(String::new(), |name, part| below(&name, part));
            scalars.push((name, scalar));
            return;
        }
        Some(Found::Struct(members)) => members,
        Some(Found::List) => &["N"],
        None => &[],
    };
    for member in members {
        way.push(member);
        look_below::<T>(way, scalars);
        way.pop();
    }
}

enum Found {
    Scalar(Scalar),
    Struct(&'static [&'static str]),
    List,
}

/// Goes the rest of a way, and notes what is at its end.
#[derive(Clone, Copy)]
struct Walk<'a> {
    rest: &'a [&'static str],
    found: &'a RefCell<Option<Found>>,
}

/// The end of the way: nothing is made of anything here.
#[derive(Debug)]
struct End;

impl Walk<'_> {
    fn end<T>(self, found: Found) -> Result<T, End> {
        self.found.replace(Some(found));
        Err(End)
    }

    /// One step on.
    fn step(self) -> Option<(&'static str, Self)> {
        let (first, rest) = self.rest.split_first()?;
        Some((first, Walk { rest, ..self }))
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
            self.end(Found::Scalar(Scalar::Number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = End;

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
        self.end(Found::Scalar(Scalar::Text))
    }

    fn deserialize_bool<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
        self.end(Found::Scalar(Scalar::Boolean))
    }

    numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i16 deserialize_i32 deserialize_i64
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, End> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        match self.step() {
            None => self.end(Found::List),
            Some((_, element)) => visitor.visit_seq(Only { name: "N", value: element }),
        }
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        match self.step() {
            None => self.end(Found::Struct(members)),
            Some((name, value)) => visitor.visit_map(Only { name, value }),
        }
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, End> {
        self.end(Found::Scalar(Scalar::Word(words)))
    }

    serde::forward_to_deserialize_any! {
        i8 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier
        ignored_any
    }
}

/// A struct or a list of one thing.
struct Only<'a> {
    name: &'static str,
    value: Walk<'a>,
}

impl<'de> MapAccess<'de> for Only<'_> {
    type Error = End;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, End> {
        let name: StrDeserializer<'_, End> = self.name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, End> {
        seed.deserialize(self.value)
    }
}

impl<'de> SeqAccess<'de> for Only<'_> {
    type Error = End;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, End> {
        seed.deserialize(self.value).map(Some)
    }
}

impl de::Error for End {
    fn custom<T: Display>(_: T) -> Self {
        End
    }
}

impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of the way")
    }
}

impl std::error::Error for End {}

#[cfg(test)]
#[expect(dead_code, reason = "the structs' members are only looked for")]
mod tests {
    use model::VpcId;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wanted {
        vpc_id: VpcId,
        #[serde(default)]
        filter: Vec<Filter>,
        most: Option<u16>,
        kind: Option<Kind>,
        #[serde(rename = "EnableIO", default)]
        io: bool,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Filter {
        name: String,
        value: Vec<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Optional,
        Required,
    }

    #[test]
    fn all_members_whether_needed_or_not() {
        let expected = [
            ("VpcId", Scalar::Text),
            ("Filter.N.Name", Scalar::Text),
            ("Filter.N.Value.N", Scalar::Text),
            ("Most", Scalar::Number),
            ("Kind", Scalar::Word(&["optional", "required"])),
            ("EnableIO", Scalar::Boolean),
        ];
        assert_eq!(outline::<Wanted>(), expected.map(|(name, scalar)| (name.to_owned(), scalar)));
    }
}
