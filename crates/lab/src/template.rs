//! The cloud's part of a lab, or a stack of its own: a CloudFormation template, read as far as we can carry it out on
//! packets.
//!
//! Sections, resource types, properties, attributes and functions are those of the AWS CloudFormation User
//! Guide's template reference. What is not listed here is refused by name and line, never skipped.

mod condition;
pub(crate) mod expression;
pub(crate) mod function;
mod list_function;
mod mapping;
mod order;
mod parameter;
mod resource_type;
mod scope;
mod setting;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Region;

use crate::error::{LabError, Place, TemplateFault, Wrong};
use crate::yaml::{Fields, Key, Kind, Node};
use expression::Expression;
use parameter::Parameters;
pub use resource_type::ResourceType;
use scope::Scope;
pub use setting::Setting;

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
];
const RESOURCE: &[&str] = &["Type", "Properties", "DependsOn", "Condition", "Metadata"];
const OUTPUT: &[&str] = &["Description", "Value", "Condition"];

/// The only version of the format there is.
const FORMAT_VERSION: &str = "2010-09-09";

/// A template whose every function, reference, type and property is known, with its parameters and conditions put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parameters: Parameters,
    /// Those that are to be made.
    resources: Vec<Resource>,
    outputs: Outputs,
}

/// Values by their names, in the order of the file.
type Outputs = Vec<(Key, Expression)>;

/// One resource of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its logical id.
    pub logical: String,
    /// Its type.
    pub kind: ResourceType,
    /// Where it is declared.
    pub place: Place,
    pub(crate) properties: Expression,
    depends_on: Vec<(String, Place)>,
}

impl Template {
    /// Reads a template, in YAML or JSON, which errors call `file`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place. Values of parameters with `NoEcho` are not told.
    pub fn parse(file: &str, text: &str, setting: &Setting) -> Result<Self, LabError> {
        Self::read(&Node::parse(&Arc::from(file), text)?, setting)
    }

    /// The resource with this logical id.
    pub fn resource(&self, logical: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.logical == logical)
    }

    /// All resources that are to be made, in the order of the file.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// What each parameter was given, or has by default.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.parameters.given()
    }

    pub(crate) fn outputs(&self) -> &[(Key, Expression)] {
        &self.outputs
    }

    /// Whether the region has what parameters name by their types; `image` says which images there are.
    pub(crate) fn check_parameters(
        &self,
        region: &Region,
        image: &dyn Fn(&str) -> bool,
    ) -> Result<(), LabError> {
        self.parameters.check(region, image)
    }

    /// The error without values that are not to be shown.
    pub(crate) fn masked(&self, error: LabError) -> LabError {
        self.parameters.masked(error)
    }

    /// Reads a template. Its references are known to lead to resources that are made and have such an attribute.
    pub(crate) fn read(root: &Node, setting: &Setting) -> Result<Self, LabError> {
        let sections = root.map("the template")?;
        if let Some((key, _)) = sections.iter().find(|(k, _)| !SECTIONS.contains(&k.name.as_str())) {
            let section = key.name.clone();
            return Err(key.place.error(TemplateFault::Section { section, known: SECTIONS }));
        }
        let fields = Fields::of(root, "the template", SECTIONS)?;
        if let Some(version) = fields.optional("AWSTemplateFormatVersion")
            && version.text("AWSTemplateFormatVersion")? != FORMAT_VERSION
        {
            let value = version.text("AWSTemplateFormatVersion")?.to_owned();
            return Err(version.error(Wrong::Value { value, expected: "2010-09-09" }));
        }
        let parameters = Parameters::read(&fields, setting)?;
        let read = Self::read_body(&fields, setting, &parameters);
        let (resources, outputs) = read.map_err(|error| parameters.masked(error))?;
        Ok(Self { parameters, resources, outputs })
    }

    fn read_body(
        fields: &Fields<'_>,
        setting: &Setting,
        parameters: &Parameters,
    ) -> Result<(Vec<Resource>, Outputs), LabError> {
        let mut scope = Scope::read(fields, setting, parameters)?;
        let declared = fields.required("Resources")?.map("`Resources`")?;
        for (key, node) in declared {
            scope.resources.insert(key.name.clone(), Resource::read_kind(key, node)?);
        }
        let (mut resources, mut outputs) = (Vec::new(), Vec::new());
        for (key, node) in declared {
            let (resource, made) = Resource::read(key, node, &scope)?;
            resources.extend(made.then_some(resource));
        }
        for (key, node) in fields.entries("Outputs")? {
            let output = Fields::of(node, format!("output `{}`", key.name), OUTPUT)?;
            let value = Expression::read(output.required("Value")?, &scope)?;
            let made = output.optional("Condition").map_or(Ok(true), |node| scope.holds(node))?;
            outputs.extend(made.then(|| (key.clone(), value)));
        }
        let made = |logical: &str| resources.iter().any(|resource| resource.logical == logical);
        for resource in &resources {
            check_made(&resource.properties, &made)?;
        }
        outputs.iter().try_for_each(|(_, value)| check_made(value, &made))?;
        Ok((resources, outputs))
    }
}

impl Resource {
    /// Its type, and that it can be called so.
    fn read_kind(key: &Key, node: &Node) -> Result<ResourceType, LabError> {
        let logical = key.name.clone();
        if logical.is_empty() || !logical.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(key.place.error(TemplateFault::LogicalId(logical)));
        }
        let fields = Fields::of(node, format!("resource `{logical}`"), RESOURCE)?;
        let type_node = fields.required("Type")?;
        let name = type_node.text("`Type`")?;
        ResourceType::named(name).ok_or_else(|| {
            let (name, known) = (name.to_owned(), ResourceType::names());
            type_node.error(TemplateFault::ResourceType { logical, name, known })
        })
    }

    /// The resource, and whether it is to be made.
    fn read(key: &Key, node: &Node, scope: &Scope<'_>) -> Result<(Self, bool), LabError> {
        let logical = key.name.clone();
        let kind = Self::read_kind(key, node)?;
        let fields = Fields::of(node, format!("resource `{logical}`"), RESOURCE)?;
        let properties = match fields.optional("Properties") {
            None => Expression::nothing(&key.place),
            Some(node) => {
                for (key, _) in node.map("`Properties`")? {
                    if !kind.properties().contains(&key.name.as_str()) {
                        let (property, known) = (key.name.clone(), kind.properties());
                        let kind = kind.name();
                        return Err(key.place.error(TemplateFault::Property { property, kind, known }));
                    }
                }
                Expression::read(node, scope)?
            }
        };
        let depends_on = match fields.optional("DependsOn") {
            None => Vec::new(),
            Some(node) => read_depends_on(node, scope)?,
        };
        let made = fields.optional("Condition").map_or(Ok(true), |node| scope.holds(node))?;
        Ok((Self { logical, kind, place: key.place.clone(), properties, depends_on }, made))
    }

    /// The logical ids that must stand before this one, by reference or by `DependsOn`.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &str> {
        let referred = self.properties.targets().into_iter().map(|(target, _)| target.logical());
        self.depends_on.iter().map(|(logical, _)| logical.as_str()).chain(referred)
    }
}

/// One that is not made counts as standing.
fn read_depends_on(node: &Node, scope: &Scope<'_>) -> Result<Vec<(String, Place)>, LabError> {
    let one = |node: &Node| {
        let logical = node.text("`DependsOn`")?.to_owned();
        match scope.resources.contains_key(&logical) {
            true => Ok((logical, node.place.clone())),
            false => Err(node.error(TemplateFault::UnknownResource(logical))),
        }
    };
    match &node.kind {
        Kind::List(_) => node.list("`DependsOn`")?.iter().map(one).collect(),
        _ => Ok(vec![one(node)?]),
    }
}

/// Whether a value refers only to what is made.
fn check_made(value: &Expression, made: &dyn Fn(&str) -> bool) -> Result<(), LabError> {
    match value.targets().into_iter().find(|(target, _)| !made(target.logical())) {
        Some((target, place)) => Err(place.error(TemplateFault::NotMade(target.logical().to_owned()))),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use model::{AccountId, RegionKey, RegionName};

    /// Stack `web` of an account in Frankfurt.
    pub(crate) fn setting() -> Setting {
        let (account, region) = (AccountId("123456789012".into()), RegionName("eu-central-1".into()));
        Setting::new(RegionKey { account, region }, "web")
    }

    fn read(text: &str) -> Result<Template, String> {
        Template::parse("t.yaml", text, &setting()).map_err(|e| e.to_string())
    }

    #[test]
    fn refuses_by_name_and_line() {
        let cases = [
            (
                "Transform: x\nResources: {}",
                "t.yaml:1:1: the section `Transform` is not supported (supported: AWSTemplateFormatVersion, \
                 Description, Metadata, Parameters, Mappings, Conditions, Resources, Outputs)",
            ),
            ("Outputs: {}", "t.yaml:1:1: the template lacks `Resources`"),
            (
                "Resources:\n  A-b: {Type: AWS::EC2::VPC}",
                "t.yaml:2:3: the logical id `A-b` is not alphanumeric",
            ),
            (
                "Resources:\n  A:\n    Type: AWS::EC2::VPC\n    Properties: {Ipv4IpamPoolId: a}",
                "t.yaml:4:18: property `Ipv4IpamPoolId` of AWS::EC2::VPC is not supported \
                 (supported: CidrBlock, EnableDnsSupport, EnableDnsHostnames, InstanceTenancy, Tags)",
            ),
            (
                "Resources:\n  A:\n    Type: AWS::EC2::VPC\n    DependsOn: B",
                "t.yaml:4:16: no resource is called `B`",
            ),
            (
                "Resources:\n  A:\n    Type: AWS::EC2::InternetGateway\n    DeletionPolicy: Retain",
                "t.yaml:4:5: unknown key `DeletionPolicy` in resource `A` \
                 (known: Type, Properties, DependsOn, Condition, Metadata)",
            ),
            (
                "Resources:\n  A: {Type: AWS::EC2::VPC}\nOutputs:\n  O: {Value: !GetAtt A.Foo}",
                "t.yaml:4:14: `A`, AWS::EC2::VPC, has no attribute `Foo` \
                 (it has: CidrBlock, DefaultNetworkAcl, DefaultSecurityGroup, Ipv6CidrBlocks, VpcId)",
            ),
            (
                "Resources:\n  A: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !ImportValue a}}",
                "t.yaml:2:52: the function `!ImportValue` is not supported (supported: Ref, Fn::Base64, Fn::Cidr, \
                 Fn::FindInMap, Fn::GetAZs, Fn::GetAtt, Fn::If, Fn::Join, Fn::Select, Fn::Split, Fn::Sub)",
            ),
            (
                "Resources:\n  A: {Type: AWS::EC2::VPC}\nOutputs:\n  O: {Value: a, Export: {Name: b}}",
                "t.yaml:4:17: unknown key `Export` in output `O` (known: Description, Value, Condition)",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
        let unknown = read("Resources:\n  A:\n    Type: AWS::EC2::VPNGateway").unwrap_err();
        let start = "t.yaml:3:11: resource type `AWS::EC2::VPNGateway` of `A` is not supported (supported: ";
        assert!(unknown.starts_with(start), "{unknown}");
    }

    const CONDITIONS: &str = "
Parameters:
  Size: {Type: Number, Default: 2, MinValue: 1, MaxValue: 3}
Conditions:
  Big: !Not [!Equals [!Ref Size, 1]]
  Huge: {'Fn::And': [Condition: Big, 'Fn::Equals': [{Ref: Size}, '3']]}
  Odd: !Or [!Condition Huge, !Equals [!Ref Size, 1]]
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !If [Big, 10.0.0.0/16, 10.0.0.0/24]}}
  Peer:
    Type: AWS::EC2::VPC
    Condition: Huge
    Properties: {CidrBlock: 10.1.0.0/16, Tags: [!If [Odd, {Key: odd, Value: 'yes'}, !Ref AWS::NoValue]]}
  Subnet:
    Type: AWS::EC2::Subnet
    DependsOn: [Vpc, Peer]
    Properties:
      VpcId: !If [Huge, !Ref Peer, !Ref Vpc]
      CidrBlock: 10.0.0.0/28
      AvailabilityZone: !If [Big, !Select [1, !GetAZs ''], !Ref AWS::NoValue]
Outputs:
  Peer: {Condition: Huge, Value: !Ref Peer}
  Stack: {Value: !Sub '${AWS::StackName}/${AWS::AccountId}/${AWS::Region}/${AWS::Partition}'}
";

    fn with(text: &str, parameters: &[(&str, &str)]) -> Result<Template, String> {
        let mut setting = setting();
        setting.parameters = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Template::parse("t.yaml", text, &setting).map_err(|e| e.to_string())
    }

    #[test]
    fn conditions_choose_resources_properties_and_outputs() {
        for (size, made, outputs, cidr, zone) in [
            ("1", ["Vpc", "Subnet"].as_slice(), ["Stack"].as_slice(), "10.0.0.0/24", None),
            ("2", &["Vpc", "Subnet"], &["Stack"], "10.0.0.0/16", Some("eu-central-1b")),
            ("3", &["Vpc", "Peer", "Subnet"], &["Peer", "Stack"], "10.0.0.0/16", Some("eu-central-1b")),
        ] {
            let template = with(CONDITIONS, &[("Size", size)]).unwrap();
            let logical: Vec<_> = template.resources().iter().map(|r| r.logical.as_str()).collect();
            assert_eq!(logical, made);
            let shown: Vec<_> = template.outputs().iter().map(|(key, _)| key.name.as_str()).collect();
            assert_eq!(shown, outputs);
            let constant = |logical: &str, key: &str| {
                let property = template.resource(logical)?.properties.field(key)?;
                Some(property.constant().unwrap().text("x").unwrap().to_owned())
            };
            assert_eq!(constant("Vpc", "CidrBlock").as_deref(), Some(cidr));
            assert_eq!(constant("Subnet", "AvailabilityZone").as_deref(), zone);
            let (_, stack) = template.outputs().last().unwrap();
            assert_eq!(stack.constant().unwrap().text("x").unwrap(), "web/123456789012/eu-central-1/aws");
            if let Some(peer) = template.resource("Peer") {
                let tags = peer.properties.field("Tags").unwrap().constant().unwrap();
                assert_eq!(tags.list("x").unwrap().len(), 1);
            }
        }
        assert_eq!(with(CONDITIONS, &[]).unwrap().parameters()["Size"], "2");
    }

    #[test]
    fn wrong_conditions_and_parameters_are_refused_with_their_place() {
        let vpc = "Resources: {A: {Type: AWS::EC2::VPC}}";
        for (text, given, expected) in [
            ("Conditions:\n  A: !Equals [1]\n", None, "2:6: Fn::Equals takes two values"),
            (
                "Conditions: {A: yes}\n",
                None,
                "1:17: a condition is one of Condition, Fn::And, Fn::Equals, Fn::Not, Fn::Or",
            ),
            ("Conditions: {A: !Condition B}\n", None, "1:17: no condition is called `B`"),
            (
                "Conditions: {A: !Condition B, B: !Not [!Condition A]}\n",
                None,
                "1:14: the conditions depend on each other in a circle: A -> B -> A",
            ),
            ("Conditions: {A: !And [!Equals [a, a]]}\n", None, "1:17: Fn::And takes two to ten conditions"),
            ("Conditions: {A: !Equals [!Ref A, a]}\n", None, "1:26: no resource or parameter is called `A`"),
            (
                "Parameters:\n  P: {Type: Strin}\n",
                None,
                "2:13: type `Strin` of parameter `P` is not supported",
            ),
            (
                "Parameters:\n  P: {Type: String}\n",
                None,
                "2:3: parameter `P` has no default, and no value was given",
            ),
            ("", Some("x"), "1:1: no parameter is called `P` (there are: )"),
            ("Parameters:\n  P: {Type: Number}\n", Some("x"), "2:3: parameter `P`: `x`: must be a number"),
            (
                "Parameters:\n  P: {Type: List<Number>, MaxValue: 7}\n",
                Some("1, 7,8"),
                "2:3: parameter `P`: `8`: is out of range",
            ),
            (
                "Parameters:\n  P: {Type: String, AllowedValues: [a, b]}\n",
                Some("c"),
                "2:3: parameter `P`: `c`: must be one of a, b",
            ),
            (
                "Parameters:\n  P: {Type: String, AllowedPattern: '[a-z]+|0'}\n",
                Some("a0"),
                "2:3: parameter `P`: `a0`: must match the pattern [a-z]+|0",
            ),
            (
                "Parameters:\n  P: {Type: String, AllowedPattern: '[a-z', Default: a}\n",
                None,
                "2:37: `[a-z` is not a regular expression that can be used here",
            ),
            (
                "Parameters:\n  P: {Type: String, MinLength: 2, MaxLength: 3, ConstraintDescription: two or three}\n",
                Some("abcd"),
                "2:3: parameter `P`: `abcd`: two or three",
            ),
            (
                "Parameters:\n  P: {Type: String, MinLength: 9, NoEcho: true}\n",
                Some("secret"),
                "2:3: parameter `P`: `****`: is too short",
            ),
        ] {
            let given: Vec<_> = given.map(|value| ("P", value)).into_iter().collect();
            let error = with(&format!("{text}{vpc}"), &given).unwrap_err();
            assert!(error.starts_with(&format!("t.yaml:{expected}")), "{text}: {error}");
        }
        for (resources, expected) in [
            (
                "  B: {Type: AWS::EC2::VPC, Condition: Never}\n  C: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref B}}",
                "6:51: `B` is not made: its condition does not hold",
            ),
            ("  B: {Type: AWS::EC2::VPC, Condition: Ever}", "5:39: no condition is called `Ever`"),
            (
                "  B: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !If [Never, !Ref X, a]}}",
                "5:64: no resource or parameter is called `X`",
            ),
            (
                "  B: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !FindInMap [M, a, c]}}",
                "5:70: there is no `c` in `a` of mapping `M`",
            ),
            (
                "  B: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !FindInMap [M, !Ref B, c]}}",
                "5:67: `B` is a resource: only parameters, mappings and pseudo parameters can be used here",
            ),
        ] {
            let text = format!(
                "Parameters: {{P: {{Type: String, Default: '1', NoEcho: true}}}}\nMappings: {{M: {{a: {{b: c}}}}}}\n\
                 Conditions: {{Never: !Equals [a, b]}}\nResources:\n{resources}"
            );
            let error = with(&text, &[]).unwrap_err();
            assert!(error.starts_with(&format!("t.yaml:{expected}")), "{resources}: {error}");
        }
        let secret = "Parameters: {P: {Type: String, NoEcho: true}}\nMappings: {M: {a: {b: c}}}\nResources: {B: {Type: \
                      AWS::EC2::VPC, Properties: {CidrBlock: !FindInMap [M, a, !Ref P]}}}";
        assert_eq!(
            with(secret, &[("P", "hush")]).unwrap_err(),
            "t.yaml:3:80: there is no `****` in `a` of mapping `M`"
        );
    }

    #[test]
    fn json_is_read_too() {
        let json = "{\n\t\"Parameters\": {\"Cidr\": {\"Type\": \"String\", \"Default\": \"10.0.0.0\\/16\"}},\n\
                    \t\"Resources\": {\n\t\t\"Vpc\": {\"Type\": \"AWS::EC2::VPC\",\n\t\t\t\"Properties\": \
                    {\"CidrBlock\": {\"Ref\": \"Cidr\"}}}\n\t}\n}\n";
        let template = read(json).unwrap();
        let cidr = template.resource("Vpc").unwrap().properties.field("CidrBlock").unwrap();
        assert_eq!(cidr.constant().unwrap().text("x").unwrap(), "10.0.0.0/16");
        let error = read(&json.replace("CidrBlock", "Cidr")).unwrap_err();
        assert!(error.starts_with("t.yaml:5:19: property `Cidr` of AWS::EC2::VPC"), "{error}");
    }
}
