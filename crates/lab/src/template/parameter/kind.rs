//! The types of parameters (CloudFormation User Guide, "CloudFormation template Parameters syntax").

use model::Region;

use super::Value;

/// A parameter's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Numbers,
    Texts,
    /// Something of EC2's.
    Existing(Existing),
    /// A list of such.
    AllExisting(Existing),
}

/// Something of EC2's that a parameter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::template) enum Existing {
    AvailabilityZone,
    Image,
    Instance,
    KeyPair,
    SecurityGroupName,
    SecurityGroup,
    Subnet,
    Vpc,
}

impl Kind {
    pub(super) fn named(name: &str) -> Option<Self> {
        let item = name.strip_prefix("List<").and_then(|rest| rest.strip_suffix('>'));
        match (name, item) {
            ("String", _) => Some(Self::Text),
            ("Number", _) => Some(Self::Number),
            ("CommaDelimitedList", _) => Some(Self::Texts),
            (_, Some("Number")) => Some(Self::Numbers),
            (_, Some(item)) => Existing::named(item).map(Self::AllExisting),
            (name, None) => Existing::named(name).map(Self::Existing),
        }
    }

    /// What a text is as such a parameter. Items of a list stand between commas; spaces around them do not count.
    pub(super) fn value(self, text: &str) -> Value {
        match self {
            Self::Text | Self::Number | Self::Existing(_) => Value::One(text.to_owned()),
            Self::Numbers | Self::Texts | Self::AllExisting(_) if text.is_empty() => Value::Many(Vec::new()),
            Self::Numbers | Self::Texts | Self::AllExisting(_) => {
                Value::Many(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Numbers)
    }

    pub(super) fn existing(self) -> Option<Existing> {
        match self {
            Self::Existing(existing) | Self::AllExisting(existing) => Some(existing),
            _ => None,
        }
    }
}

impl Existing {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "AWS::EC2::AvailabilityZone::Name" => Self::AvailabilityZone,
            "AWS::EC2::Image::Id" => Self::Image,
            "AWS::EC2::Instance::Id" => Self::Instance,
            "AWS::EC2::KeyPair::KeyName" => Self::KeyPair,
            "AWS::EC2::SecurityGroup::GroupName" => Self::SecurityGroupName,
            "AWS::EC2::SecurityGroup::Id" => Self::SecurityGroup,
            "AWS::EC2::Subnet::Id" => Self::Subnet,
            "AWS::EC2::VPC::Id" => Self::Vpc,
            _ => return None,
        })
    }

    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AvailabilityZone => "availability zone",
            Self::Image => "image",
            Self::Instance => "instance",
            Self::KeyPair => "key pair",
            Self::SecurityGroupName | Self::SecurityGroup => "security group",
            Self::Subnet => "subnet",
            Self::Vpc => "VPC",
        }
    }

    /// Whether the region has it; `image` says which images there are.
    pub(super) fn is_there(self, text: &str, region: &Region, image: &dyn Fn(&str) -> bool) -> bool {
        fn known<K: std::str::FromStr>(text: &str, has: impl Fn(&K) -> bool) -> bool {
            text.parse::<K>().is_ok_and(|id| has(&id))
        }
        match self {
            Self::AvailabilityZone => region.key().region.availability_zones().any(|zone| zone == text),
            Self::Image => image(text),
            Self::Instance => known(text, |id| region.instances().contains_key(id)),
            Self::KeyPair => region.key_pair_named(text).is_some(),
            Self::SecurityGroupName => region.security_groups().values().any(|group| group.name == text),
            Self::SecurityGroup => known(text, |id| region.security_groups().contains_key(id)),
            Self::Subnet => known(text, |id| region.subnets().contains_key(id)),
            Self::Vpc => known(text, |id| region.vpcs().contains_key(id)),
        }
    }
}
