//! serde's view of the parameters.

use std::cell::RefCell;
use std::collections::btree_map;
use std::fmt::{self, Display};

use model::{
    AllocationId, AssociationId, AttachmentId, BadId, DhcpOptionsId, EgressOnlyInternetGatewayId, FlowLogId,
    ImageId, InstanceId, InterfaceId, InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclAssociationId,
    NetworkAclId, PrefixListId, ReservationId, RouteTableAssociationId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetCidrAssociationId, SubnetCidrReservationId, SubnetId, VpcCidrAssociationId,
    VpcId, VpcPeeringConnectionId,
};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::{Node, is_index};
use crate::ec2::error::Error;

/// Names and values that no member of a struct took.
pub(super) type Unused = RefCell<Vec<(String, String)>>;

/// EC2's code for a malformed id of each kind, where "Error codes for the Amazon EC2 API" has one; else the code
/// for an id that does not exist.
const MALFORMED: [(&str, &str); 26] = [
    (VpcId::PREFIX, "InvalidVpcID.Malformed"),
    (SubnetId::PREFIX, "InvalidSubnetID.Malformed"),
    (RouteTableId::PREFIX, "InvalidRouteTableId.Malformed"),
    (RouteTableAssociationId::PREFIX, "InvalidAssociationID.NotFound"),
    (InternetGatewayId::PREFIX, "InvalidInternetGatewayId.Malformed"),
    (SecurityGroupId::PREFIX, "InvalidGroupId.Malformed"),
    (SecurityGroupRuleId::PREFIX, "InvalidSecurityGroupRuleId.Malformed"),
    (InterfaceId::PREFIX, "InvalidNetworkInterfaceId.Malformed"),
    (AttachmentId::PREFIX, "InvalidNetworkInterfaceAttachmentId.Malformed"),
    (AllocationId::PREFIX, "InvalidAllocationID.NotFound"),
    (AssociationId::PREFIX, "InvalidAssociationID.NotFound"),
    (InstanceId::PREFIX, "InvalidInstanceID.Malformed"),
    (ReservationId::PREFIX, "InvalidReservationID.Malformed"),
    (ImageId::PREFIX, "InvalidAMIID.Malformed"),
    (VpcCidrAssociationId::PREFIX, "InvalidVpcCidrBlockAssociationID.NotFound"),
    (KeyPairId::PREFIX, "InvalidKeyPair.NotFound"),
    (NatGatewayId::PREFIX, "NatGatewayMalformed"),
    (DhcpOptionsId::PREFIX, "InvalidDhcpOptionsId.Malformed"),
    (NetworkAclId::PREFIX, "InvalidNetworkAclId.Malformed"),
    (NetworkAclAssociationId::PREFIX, "InvalidAssociationID.NotFound"),
    (VpcPeeringConnectionId::PREFIX, "InvalidVpcPeeringConnectionId.Malformed"),
    (PrefixListId::PREFIX, "InvalidPrefixListId.Malformed"),
    (EgressOnlyInternetGatewayId::PREFIX, "InvalidEgressOnlyInternetGatewayId.Malformed"),
    (SubnetCidrAssociationId::PREFIX, "InvalidSubnetCidrBlockAssociationID.NotFound"),
    (FlowLogId::PREFIX, "InvalidFlowLogId.Malformed"),
    (SubnetCidrReservationId::PREFIX, "InvalidSubnetCidrReservationID.NotFound"),
];

/// A name among the parameters, and what is there.
#[derive(Clone)]
pub(super) struct Place<'a> {
    name: String,
    node: &'a Node,
    unused: &'a Unused,
}

/// Why a struct cannot be made of the parameters.
#[derive(Debug)]
pub(super) enum Failure {
    /// A value is not of the member's type. Where is not yet known.
    Value(String),
    /// A member is missing, of the struct that is being read.
    Missing(&'static str),
    /// What EC2 answers.
    Placed(Error),
}

/// The name of a member.
pub(super) fn below(name: &str, member: &str) -> String {
    if name.is_empty() { member.to_owned() } else { format!("{name}.{member}") }
}

impl<'a> Place<'a> {
    pub(super) fn root(node: &'a Node, unused: &'a Unused) -> Self {
        Place { name: String::new(), node, unused }
    }

    fn member(&self, name: &str, node: &'a Node) -> Self {
        Place { name: below(&self.name, name), node, unused: self.unused }
    }

    /// Notes that nobody took what is here and below.
    fn pass_over(&self) {
        self.node.each(self.name.clone(), &mut |name, value| {
            self.unused.borrow_mut().push((name, value.to_owned()));
        });
    }

    /// Hands the value to `f`. All that is below it is passed over.
    fn scalar<T>(&self, f: impl FnOnce(&'a str) -> Result<T, Failure>) -> Result<T, Failure> {
        for (name, node) in &self.node.members {
            self.member(name, node).pass_over();
        }
        let Some(value) = self.node.value.as_deref() else {
            return Err(Failure::Placed(Error::MissingParameter(self.name.clone())));
        };
        f(value)
    }

    /// Has `seed` make of it what it should be. What is wrong is known there, and where only here.
    fn make<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Failure> {
        let (name, node) = (self.name.clone(), self.node);
        seed.deserialize(self).map_err(|failure| match failure {
            Failure::Value(reason) => {
                let value = node.value.as_deref().unwrap_or_default();
                Failure::Placed(invalid(name, value, reason))
            }
            other => other,
        })
    }

    fn number<T, N: std::str::FromStr>(
        &self,
        visit: impl FnOnce(N) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.scalar(|value| match value.parse() {
            Ok(number) => visit(number),
            Err(_) => Err(Failure::Value("It is not a number in range.".to_owned())),
        })
    }

    /// Notes the value of something that has members only.
    fn pass_over_value(&self) {
        if let Some(value) = &self.node.value {
            self.unused.borrow_mut().push((self.name.clone(), value.clone()));
        }
    }
}

/// What EC2 answers to a value that cannot be. That it should have been an id, and of what, is known by the words for
/// it: serde keeps nothing else of an error.
fn invalid(name: String, value: &str, reason: String) -> Error {
    let malformed = |prefix| BadId { text: value.to_owned(), prefix }.to_string();
    match MALFORMED.iter().find(|(prefix, _)| malformed(prefix) == reason) {
        Some((_, code)) => Error::MalformedId { code, message: reason },
        None => Error::InvalidValue { value: value.to_owned(), name, reason },
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.number(|number| visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Place<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.scalar(|value| visitor.visit_borrowed_str(value))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.scalar(|value| match value.to_ascii_lowercase().as_str() {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(Failure::Value("It is neither true nor false.".to_owned())),
        })
    }

    numbers! {
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.pass_over_value();
        let (mut elements, mut others) = (Vec::new(), Vec::new());
        for (name, node) in &self.node.members {
            match name.parse::<u32>() {
                Ok(index) if is_index(name) => elements.push((index, self.member(name, node))),
                _ => others.push(self.member(name, node)),
            }
        }
        others.iter().for_each(Place::pass_over);
        elements.sort_by_key(|(index, _)| *index);
        visitor.visit_seq(Elements(elements.into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.pass_over_value();
        let members = Members { rest: self.node.members.iter(), next: None, of: &self };
        visitor.visit_map(members).map_err(|failure| match failure {
            Failure::Missing(member) => Failure::Placed(Error::MissingParameter(below(&self.name, member))),
            other => other,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.scalar(|value| {
            let name: StrDeserializer<'_, Failure> = value.into_deserializer();
            visitor.visit_enum(name)
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.pass_over();
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier
    }
}

struct Elements<'a>(std::vec::IntoIter<(u32, Place<'a>)>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        self.0.next().map(|(_, place)| place.make(seed)).transpose()
    }
}

struct Members<'a, 'p> {
    rest: btree_map::Iter<'a, String, Node>,
    next: Option<Place<'a>>,
    of: &'p Place<'a>,
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((name, node)) = self.rest.next() else { return Ok(None) };
        self.next = Some(self.of.member(name, node));
        let name: StrDeserializer<'_, Failure> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        match self.next.take() {
            Some(place) => place.make(seed),
            None => Err(de::Error::custom("a value before its name")),
        }
    }
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Failure::Value(reason) => {
                Error::InvalidValue { value: String::new(), name: String::new(), reason }
            }
            Failure::Missing(member) => Error::MissingParameter(member.to_owned()),
            Failure::Placed(error) => error,
        }
    }
}

impl de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Failure::Value(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Failure::Missing(field)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Value(reason) => f.write_str(reason),
            Failure::Missing(member) => f.write_str(member),
            Failure::Placed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}
