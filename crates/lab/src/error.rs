//! What is wrong with a lab file or its template, and where.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::BadQuota;
use thiserror::Error;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named to us.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Place {
    /// The whole of a file.
    pub(crate) fn whole(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: 0, column: 0 }
    }

    /// The error that this is wrong here.
    pub(crate) fn error(&self, wrong: impl Into<Box<Wrong>>) -> LabError {
        LabError { place: self.clone(), wrong: wrong.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// One thing that is wrong in a lab file or template: `labs/x.yaml:12:7: unknown key …`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {wrong}")]
pub struct LabError {
    /// Where.
    pub place: Place,
    /// What. Boxed, so that the happy path's results stay small.
    pub wrong: Box<Wrong>,
}

/// What can be wrong in a lab file or a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Wrong {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Not YAML.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// YAML that neither CloudFormation nor the lab file takes.
    #[error("{0} cannot be used here")]
    YamlFeature(&'static str),
    /// A YAML tag where none means anything.
    #[error("the tag `{0}` means nothing here")]
    Tag(String),
    /// Another kind of value than the one needed.
    #[error("{what} must be {expected}, not {found}")]
    Kind {
        /// Whose value it is.
        what: String,
        /// The kind needed.
        expected: &'static str,
        /// The kind found.
        found: &'static str,
    },
    /// A value that cannot be read as what it must be.
    #[error("`{value}` is not {expected}")]
    Value {
        /// As written.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A quota that cannot be so.
    #[error(transparent)]
    Quota(BadQuota),
    /// A key that nobody knows.
    #[error("unknown key `{key}` in {what} (known: {})", .known.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
        /// In what.
        what: String,
        /// The keys known there.
        known: &'static [&'static str],
    },
    /// The same key twice in a mapping.
    #[error("`{key}` stands twice: already at line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of the first.
        first: usize,
    },
    /// A key that must be there.
    #[error("{what} lacks `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// In what.
        what: String,
    },
    /// Of several keys that exclude each other not exactly one is there.
    #[error("{what} needs exactly one of {}", .keys.join(", "))]
    OneOf {
        /// In what.
        what: String,
        /// The keys.
        keys: &'static [&'static str],
    },
    /// Any of these, without values that are not to be shown.
    #[error("{0}")]
    Masked(String),
    /// Something in the declarations of the world.
    #[error(transparent)]
    World(#[from] WorldFault),
    /// Something in the template.
    #[error(transparent)]
    Template(#[from] TemplateFault),
}

impl From<WorldFault> for Box<Wrong> {
    fn from(fault: WorldFault) -> Self {
        Self::new(Wrong::World(fault))
    }
}

impl From<TemplateFault> for Box<Wrong> {
    fn from(fault: TemplateFault) -> Self {
        Self::new(Wrong::Template(fault))
    }
}

/// What can be wrong in the world around the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WorldFault {
    /// A name that is taken, in any site.
    #[error("the name `{name}` is taken by {by}")]
    NameTaken {
        /// The name.
        name: String,
        /// By what, with its place.
        by: String,
    },
    /// A name that the lab itself uses.
    #[error("the name `{0}` is one that the lab itself uses")]
    NameReserved(String),
    /// A segment that no site declares.
    #[error("no segment is called `{segment}` (there are: {})", .known.join(", "))]
    UnknownSegment {
        /// The name asked for.
        segment: String,
        /// All names.
        known: Vec<String>,
    },
    /// Two networks that one machine could not tell apart.
    #[error("{first} and {second} overlap")]
    Overlap {
        /// One, named.
        first: String,
        /// The other, named.
        second: String,
    },
    /// An address that its segment does not have for a host.
    #[error("{address} is no host address of segment `{segment}`, {prefix}")]
    AddressOutside {
        /// The address.
        address: Ipv4Addr,
        /// The segment.
        segment: String,
        /// Its prefix.
        prefix: Ipv4Net,
    },
    /// An address that somebody else has.
    #[error("{address} is taken by {by}")]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// By whom.
        by: String,
    },
    /// A host on the internet with an address that belongs to the cloud.
    #[error("{address} lies in the cloud's pool {pool}")]
    AddressInPool {
        /// The address.
        address: IpAddr,
        /// The pool.
        pool: IpNet,
    },
    /// An IPv6 address on a segment of a site.
    #[error("segment `{0}` has no IPv6: only hosts on the segment `internet` can have an `address6`")]
    Ipv6Inside(String),
    /// An Elastic IP that the cloud does not have.
    #[error("{address} lies outside of the pool {pool}")]
    OutsidePool {
        /// The address.
        address: Ipv4Addr,
        /// The pool.
        pool: Ipv4Net,
    },
    /// No address is left for an Elastic IP, or for an instance that gets one without.
    #[error("the pool {pool} has no address left for this")]
    PoolExhausted {
        /// The pool.
        pool: Ipv4Net,
    },
    /// No IPv6 CIDR block is left.
    #[error("the pool {pool} has no IPv6 CIDR block left for this VPC")]
    Pool6Exhausted {
        /// The pool.
        pool: Ipv6Net,
    },
    /// A resolver that nobody is.
    #[error("no host has the resolver's address {0} on the internet")]
    NobodysResolver(Ipv4Addr),
    /// A next hop that is no neighbor.
    #[error("a route to nowhere: {next} {why}")]
    RouteToNowhere {
        /// The next hop as written.
        next: String,
        /// Why it cannot be reached.
        why: String,
    },
    /// The same destination twice.
    #[error("`{host}` has a route to {destination} already, at {first}")]
    RouteTwice {
        /// The host.
        host: String,
        /// The destination.
        destination: IpNet,
        /// Where the first is.
        first: Place,
    },
    /// An interface or tunnel device that is not there.
    #[error("`{host}` has no interface `{interface}` (it has: {})", .known.join(", "))]
    UnknownInterface {
        /// The host.
        host: String,
        /// The name asked for.
        interface: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A program without even a name.
    #[error("a program to run needs at least its name")]
    EmptyCommand,
    /// A tunnel end on nobody.
    #[error("`{0}` is neither a host of the lab nor an instance of the template")]
    UnknownMember(String),
    /// A tunnel from a machine to itself.
    #[error("both ends of the tunnel are on `{0}`")]
    TunnelToItself(String),
    /// The answering end cannot be dialled.
    #[error("end b is on `{0}`, which has no public address to be dialled at: it needs {1}")]
    NotDialable(String, &'static str),
    /// Two tunnels answer at the same port of one machine.
    #[error("`{member}` answers on UDP port {port} for tunnel `{other}` already")]
    PortTaken {
        /// The machine.
        member: String,
        /// The port.
        port: u16,
        /// The tunnel that has it.
        other: String,
    },
    /// The tunnel would swallow its own packets.
    #[error("the route {route} would lead the tunnel's own packets, to {remote}, into the tunnel")]
    TunnelInItself {
        /// The route.
        route: Ipv4Net,
        /// The address dialled.
        remote: Ipv4Addr,
    },
}

/// What can be wrong in a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateFault {
    /// A section of CloudFormation that we do not carry out.
    #[error("the section `{section}` is not supported (supported: {})", .known.join(", "))]
    Section {
        /// The section.
        section: String,
        /// Those supported.
        known: &'static [&'static str],
    },
    /// A logical id that CloudFormation would refuse.
    #[error("the logical id `{0}` is not alphanumeric")]
    LogicalId(String),
    /// A resource type that we do not have.
    #[error("resource type `{name}` of `{logical}` is not supported (supported: {})", .known.join(", "))]
    ResourceType {
        /// The logical id.
        logical: String,
        /// The type.
        name: String,
        /// Those supported.
        known: Vec<&'static str>,
    },
    /// A property that we could not carry out on packets.
    #[error("property `{property}` of {kind} is not supported (supported: {})", .known.join(", "))]
    Property {
        /// The property.
        property: String,
        /// The resource type.
        kind: &'static str,
        /// Those supported.
        known: &'static [&'static str],
    },
    /// A value of a property that we could not carry out.
    #[error("`{property}: {value}` is not supported: {why}")]
    PropertyValue {
        /// The property.
        property: &'static str,
        /// Its value.
        value: String,
        /// What is supported.
        why: &'static str,
    },
    /// A function that we do not have.
    #[error("the function `{function}` is not supported (supported: {})", crate::template::function::FUNCTIONS.join(", "))]
    Function {
        /// As written.
        function: String,
    },
    /// A function that no condition has.
    #[error(
        "the function `{function}` is not supported in a condition (supported: Condition, Fn::And, Fn::Equals, Fn::Not, Fn::Or)"
    )]
    ConditionFunction {
        /// As written.
        function: String,
    },
    /// Something in the place of a condition.
    #[error("a condition is one of Condition, Fn::And, Fn::Equals, Fn::Not, Fn::Or")]
    NotACondition,
    /// A condition that the template does not declare.
    #[error("no condition is called `{0}`")]
    UnknownCondition(String),
    /// Conditions that wait for each other.
    #[error("the conditions depend on each other in a circle: {}", .0.join(" -> "))]
    ConditionCycle(Vec<String>),
    /// A resource where only what is known beforehand can stand.
    #[error("`{0}` is a resource: only parameters, mappings and pseudo parameters can be used here")]
    NotConstant(String),
    /// A key that a mapping does not have.
    #[error("there is no `{key}` in {of}")]
    NotMapped {
        /// The key.
        key: String,
        /// In what.
        of: String,
    },
    /// A parameter's type that we do not have.
    #[error(
        "type `{kind}` of parameter `{name}` is not supported (supported: String, Number, List<Number>, CommaDelimitedList, \
         and AWS::EC2::AvailabilityZone::Name, Image::Id, Instance::Id, KeyPair::KeyName, SecurityGroup::GroupName, \
         SecurityGroup::Id, Subnet::Id, VPC::Id, also as a List<…>)"
    )]
    ParameterType {
        /// The parameter.
        name: String,
        /// As written.
        kind: String,
    },
    /// A parameter without any value.
    #[error("parameter `{0}` has no default, and no value was given")]
    ParameterMissing(String),
    /// A value that the parameter does not take.
    #[error("parameter `{name}`: {why}")]
    ParameterValue {
        /// The parameter.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value for no parameter.
    #[error("no parameter is called `{name}` (there are: {})", .known.join(", "))]
    UnknownParameter {
        /// The name.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    /// A function's argument that it does not take.
    #[error("{function} takes {expected}")]
    Argument {
        /// The function.
        function: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A pseudo parameter that we do not have.
    #[error(
        "the pseudo parameter `{0}` is not supported (supported: AWS::AccountId, AWS::NoValue, AWS::Partition, AWS::Region, \
         AWS::StackId, AWS::StackName, AWS::URLSuffix)"
    )]
    PseudoParameter(String),
    /// A `Ref` to nothing.
    #[error("no resource or parameter is called `{0}`")]
    UnknownName(String),
    /// A reference to a resource whose condition does not hold.
    #[error("`{0}` is not made: its condition does not hold")]
    NotMade(String),
    /// A reference to no resource.
    #[error("no resource is called `{0}`")]
    UnknownResource(String),
    /// An attribute that the resource does not have.
    #[error("`{logical}`, {kind}, has no attribute `{attribute}` (it has: {})", .known.join(", "))]
    Attribute {
        /// The logical id.
        logical: String,
        /// Its type.
        kind: &'static str,
        /// The attribute.
        attribute: String,
        /// Those it can have.
        known: &'static [&'static str],
    },
    /// An attribute without a value now.
    #[error("`{logical}` has no {attribute} at this point (DependsOn orders resources)")]
    AttributeUnset {
        /// The logical id.
        logical: String,
        /// The attribute.
        attribute: String,
    },
    /// Resources that wait for each other.
    #[error("the resources depend on each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// An image that is neither the host's nor declared in the lab file nor registered.
    #[error("image `{0}` is neither declared in the lab file's `images` nor registered (the host's own is {host})", host = crate::file::HOST_IMAGE)]
    UnknownImage(String),
    /// EC2's own refusal.
    #[error("{logical}: {message} ({code})")]
    Refused {
        /// The logical id.
        logical: String,
        /// EC2's error code.
        code: &'static str,
        /// EC2's message.
        message: String,
    },
    /// A logical id that now names a resource of another type.
    #[error("`{logical}` is {is} now and was {was}: a resource of another type needs another logical id")]
    TypeChanged {
        /// The logical id.
        logical: String,
        /// The type before.
        was: String,
        /// The type now.
        is: &'static str,
    },
    /// A logical id that names no resource of the type needed.
    #[error("`{logical}` is no {kind} of the template")]
    NotA {
        /// The logical id.
        logical: String,
        /// The type needed.
        kind: &'static str,
    },
}
