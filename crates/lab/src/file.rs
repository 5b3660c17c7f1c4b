//! The lab file as a whole: a name, a cloud, images, and the world around.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use model::{AccountId, ImageId, Quotas, RegionKey, RegionName};

use crate::error::{LabError, Place, TemplateFault, WorldFault, Wrong};
use crate::scalar::{LONGEST_NAME, is_name};
use crate::template::{ResourceType, Setting, Template};
use crate::world::{Member, World};
use crate::yaml::{Fields, Kind, Node};

/// The image that is the host's root file system as it is. Every lab has it.
pub const HOST_IMAGE: &str = "ami-00000000000000001";

/// The account that owns the lab's cloud when the file names none.
const DEFAULT_ACCOUNT: &str = "000000000000";

/// The region of a cloud that no file describes.
const DEFAULT_REGION: &str = "eu-west-1";

const LAB: &[&str] = &["name", "cloud", "internet", "images", "guests", "sites", "tunnels"];
const CLOUD: &[&str] = &["account", "region", "template", "parameters", "quotas"];
const IMAGE: &[&str] = &["files"];

/// A lab file that has been read, together with its template. What it says holds together as far as that can
/// be seen without making the resources; the rest is [`deploy`](crate::deploy::deploy)'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    /// Its name, as [`is_lab_name`] takes it. Everything made on the machine bears it.
    pub name: String,
    /// The account and region that the template is deployed in.
    pub region: RegionKey,
    /// How much there can be in each region.
    pub quotas: Quotas,
    /// The cloud.
    pub template: Template,
    /// The images that instances can have beside [`HOST_IMAGE`].
    pub images: BTreeMap<ImageId, Image>,
    /// The world around the cloud.
    pub world: World,
}

/// An image: the host's root file system with some files of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The content of files by absolute path.
    pub files: BTreeMap<String, String>,
}

impl Lab {
    /// Reads a lab file, and its template, whose path counts from the lab file's directory.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn load(path: &Path) -> Result<Self, LabError> {
        Self::load_as(path, None)
    }

    /// The same, for a lab that is to be called otherwise than the file says.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_as(path: &Path, name: Option<&str>) -> Result<Self, LabError> {
        let file = Arc::from(path.to_string_lossy());
        let root = Node::parse(&file, &read_file(&file, path, &Place::whole(&file))?)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::read(&root, directory, name)
    }

    /// A cloud with nothing in it and nothing around it, in the default account and region: all else comes by the
    /// API.
    pub fn without_world(name: &str, pool: Ipv4Net, pool6: Ipv6Net) -> Self {
        let region = RegionKey {
            account: AccountId(DEFAULT_ACCOUNT.to_owned()),
            region: RegionName(DEFAULT_REGION.to_owned()),
        };
        let template = Template::default();
        Self {
            name: name.to_owned(),
            region,
            quotas: Quotas::default(),
            template,
            images: BTreeMap::new(),
            world: World::empty(pool, pool6),
        }
    }

    fn read(root: &Node, directory: &Path, other_name: Option<&str>) -> Result<Self, LabError> {
        let fields = Fields::of(root, "the lab file", LAB)?;
        let name = fields.required("name")?;
        if !is_lab_name(name.text("`name`")?) {
            let value = name.text("`name`")?.to_owned();
            let expected = "a lab's name: lower case letters, digits and hyphens, a letter first, 31 at most";
            return Err(name.error(Wrong::Value { value, expected }));
        }
        let cloud = Fields::of(fields.required("cloud")?, "`cloud`", CLOUD)?;
        let mut images = BTreeMap::new();
        for (key, node) in fields.entries("images")? {
            let id = key.as_node().value("an image id such as ami-0123456789abcdef0")?;
            images.insert(id, Image::read(node)?);
        }
        let name = other_name.unwrap_or(name.text("`name`")?).to_owned();
        let region = read_region(&cloud)?;
        let mut setting = Setting::new(region.clone(), &name);
        for (key, node) in cloud.entries("parameters")? {
            setting.parameters.insert(key.name.clone(), node.text("a parameter's value")?.to_owned());
        }
        let lab = Self {
            name,
            region,
            quotas: read_quotas(&cloud)?,
            template: read_template(cloud.required("template")?, directory, &setting)?,
            images,
            world: World::read(&fields)?,
        };
        lab.check_logical_ids()?;
        lab.world.check()?;
        Ok(lab)
    }

    /// The image with this id: a declared one, or the host's.
    pub fn image(&self, id: ImageId) -> Option<Image> {
        let declared = self.images.get(&id).cloned();
        declared.or_else(|| (id.to_string() == HOST_IMAGE).then(Image::default))
    }

    /// What the world says about the template's resources must be about resources of the right type.
    fn check_logical_ids(&self) -> Result<(), LabError> {
        let is = |logical: &str, kind| self.template.resource(logical).is_some_and(|r| r.kind == kind);
        let not_a = |logical: &str, place: &Place, kind: ResourceType| {
            place.error(TemplateFault::NotA { logical: logical.to_owned(), kind: kind.name() })
        };
        for (logical, elastic_ip) in &self.world.internet.elastic_ips {
            if !is(logical, ResourceType::Eip) {
                return Err(not_a(logical, &elastic_ip.place, ResourceType::Eip));
            }
        }
        for (logical, guest) in &self.world.guests {
            if !is(logical, ResourceType::Instance) {
                return Err(not_a(logical, &guest.place, ResourceType::Instance));
            }
        }
        for tunnel in self.world.tunnels.values() {
            for end in [&tunnel.a, &tunnel.b] {
                if let Member::Instance(logical) = &end.on
                    && !is(logical, ResourceType::Instance)
                {
                    return Err(end.place.error(WorldFault::UnknownMember(logical.clone())));
                }
            }
        }
        // A name must say by itself whether it is a host's or an instance's.
        for host in self.world.hosts.values() {
            if let Some(resource) = self.template.resource(&host.name) {
                let by = format!("a resource, at {}", resource.place);
                return Err(host.place.error(WorldFault::NameTaken { name: host.name.clone(), by }));
            }
        }
        Ok(())
    }
}

/// Whether a lab can be called so: `[a-z][a-z0-9-]{0,30}`, not ending in a hyphen.
pub fn is_lab_name(name: &str) -> bool {
    is_name(name, LONGEST_NAME)
}

/// Whether an account can be called so: twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a region can be called so: words of lower case letters and digits, with hyphens between, a digit at the end.
pub fn is_region(text: &str) -> bool {
    is_name(text, LONGEST_NAME) && text.ends_with(|c: char| c.is_ascii_digit())
}

impl Image {
    fn read(node: &Node) -> Result<Self, LabError> {
        let fields = Fields::of(node, "an image", IMAGE)?;
        let mut files = BTreeMap::new();
        for (key, node) in fields.entries("files")? {
            let path = Path::new(&key.name);
            let plain = path.components().skip(1).all(|c| matches!(c, Component::Normal(_)));
            if !path.is_absolute() || !plain || path.parent().is_none() {
                let expected = "the absolute path of a file";
                return Err(key.place.error(Wrong::Value { value: key.name.clone(), expected }));
            }
            let empty = matches!(node.kind, Kind::Scalar { null: true, .. });
            let content = if empty { "" } else { node.text("a file's content")? };
            files.insert(key.name.clone(), content.to_owned());
        }
        Ok(Self { files })
    }
}

fn read_region(cloud: &Fields<'_>) -> Result<RegionKey, LabError> {
    let account = match cloud.optional("account") {
        None => DEFAULT_ACCOUNT,
        Some(node) => {
            let text = node.text("`account`")?;
            if !is_account(text) {
                let expected = "an account id: twelve digits";
                return Err(node.error(Wrong::Value { value: text.to_owned(), expected }));
            }
            text
        }
    };
    let node = cloud.required("region")?;
    let region = node.text("`region`")?;
    if !is_region(region) {
        let expected = "a region such as eu-west-1";
        return Err(node.error(Wrong::Value { value: region.to_owned(), expected }));
    }
    Ok(RegionKey { account: AccountId(account.to_owned()), region: RegionName(region.to_owned()) })
}

/// EC2's, but for those that are named.
fn read_quotas(cloud: &Fields<'_>) -> Result<Quotas, LabError> {
    let mut quotas = Quotas::default();
    for (key, node) in cloud.entries("quotas")? {
        let value = node.value("a number")?;
        quotas.set(&key.name, value).map_err(|bad| key.place.error(Wrong::Quota(bad)))?;
    }
    match (cloud.optional("quotas"), quotas.check()) {
        (Some(node), Err(bad)) => Err(node.error(Wrong::Quota(bad))),
        _ => Ok(quotas),
    }
}

/// A template of its own file, or inline.
fn read_template(node: &Node, directory: &Path, setting: &Setting) -> Result<Template, LabError> {
    if matches!(node.kind, Kind::Map(_)) {
        return Template::read(node, setting);
    }
    let path = directory.join(node.text("`template`")?);
    let file = Arc::from(path.to_string_lossy());
    Template::read(&Node::parse(&file, &read_file(&file, &path, &node.place)?)?, setting)
}

/// Reads a file that `place` asks for.
fn read_file(file: &str, path: &Path, place: &Place) -> Result<String, LabError> {
    std::fs::read_to_string(path).map_err(|error| {
        let reason = if place.line == 0 { error.to_string() } else { format!("{file}: {error}") };
        place.error(Wrong::Unreadable(reason))
    })
}
