//! The attributes of instances, one at a time, and how the metadata service answers them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Change, Fault, InstanceAttribute, InstanceId, SecurityGroupId};
use serde::{Deserialize, Serialize};

use super::instance::ShownMetadataOptions;
use super::run_instances::{HttpTokens, METADATA_LIMITS, user_data};
use super::security_group::{Membership, memberships};
use super::{Action, DONE, Done, Given, Shown, image, instance_type};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyInstanceAttribute {
    instance_id: InstanceId,
    attribute: Option<String>,
    value: Option<String>,
    source_dest_check: Option<Given<bool>>,
    disable_api_termination: Option<Given<bool>>,
    instance_type: Option<Given<String>>,
    user_data: Option<Given<String>>,
    #[serde(default)]
    group_id: Vec<SecurityGroupId>,
}

/// There are neither kernels nor RAM disks, the other attributes that EC2 resets.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResetInstanceAttribute {
    instance_id: InstanceId,
    attribute: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyInstanceMetadataOptions {
    instance_id: InstanceId,
    http_tokens: Option<HttpTokens>,
    http_put_response_hop_limit: Option<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModifyInstanceMetadataOptionsAnswer {
    instance_id: InstanceId,
    instance_metadata_options: ShownMetadataOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceAttribute {
    instance_id: InstanceId,
    attribute: Attribute,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Attribute {
    BlockDeviceMapping,
    DisableApiStop,
    DisableApiTermination,
    EbsOptimized,
    EnaSupport,
    EnclaveOptions,
    GroupSet,
    InstanceInitiatedShutdownBehavior,
    InstanceType,
    Kernel,
    ProductCodes,
    Ramdisk,
    RootDeviceName,
    SourceDestCheck,
    SriovNetSupport,
    UserData,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeInstanceAttributeAnswer {
    instance_id: String,
    block_device_mapping: Option<Vec<()>>,
    disable_api_stop: Option<Shown<bool>>,
    disable_api_termination: Option<Shown<bool>>,
    ebs_optimized: Option<Shown<bool>>,
    ena_support: Option<Shown<bool>>,
    enclave_options: Option<Enabled>,
    group_set: Option<Vec<Membership>>,
    instance_initiated_shutdown_behavior: Option<Shown<&'static str>>,
    instance_type: Option<Shown<String>>,
    product_codes: Option<Vec<()>>,
    root_device_name: Option<Shown<&'static str>>,
    source_dest_check: Option<Shown<bool>>,
    user_data: Option<Shown<Option<String>>>,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

impl Action for ModifyInstanceAttribute {
    const LIMITS: &'static [Limit] = &[
        ("BlockDeviceMapping", &[]),
        ("DisableApiStop.Value", &["false"]),
        ("EbsOptimized.Value", &["false"]),
        ("EnaSupport.Value", &["true"]),
        ("EnclaveOptions.Enabled", &["false"]),
        ("InstanceInitiatedShutdownBehavior.Value", &["stop"]),
        ("Kernel", &[]),
        ("Ramdisk", &[]),
        ("SriovNetSupport", &[]),
    ];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let groups = Some(self.group_id).filter(|groups| !groups.is_empty());
        let mut asked = [
            self.attribute.map(|name| by_name(name, self.value.unwrap_or_default())).transpose()?,
            self.source_dest_check.map(|given| InstanceAttribute::SourceDestCheck(given.value)),
            self.disable_api_termination.map(|given| InstanceAttribute::DisableApiTermination(given.value)),
            self.instance_type.map(|given| of_type(given.value)).transpose()?,
            self.user_data.map(|given| of_user_data(&given.value)).transpose()?,
            groups.map(InstanceAttribute::Groups),
        ]
        .into_iter()
        .flatten();
        let attribute = asked.next().ok_or(Error::Combination("No attributes specified."))?;
        if asked.next().is_some() {
            return Err(Error::Combination("Fields for multiple attribute types specified."));
        }
        call.apply(Change::ModifyInstanceAttribute { instance: self.instance_id, attribute })?;
        Ok(DONE)
    }
}

impl Action for ResetInstanceAttribute {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        if self.attribute != "sourceDestCheck" {
            return Err(Error::UnsupportedParameter { name: "Attribute".to_owned(), value: self.attribute });
        }
        let attribute = InstanceAttribute::SourceDestCheck(true);
        call.apply(Change::ModifyInstanceAttribute { instance: self.instance_id, attribute })?;
        Ok(DONE)
    }
}

impl Action for ModifyInstanceMetadataOptions {
    const LIMITS: &'static [Limit] = METADATA_LIMITS;
    type Answer = ModifyInstanceMetadataOptionsAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let instance = self.instance_id;
        let modify = Change::ModifyInstanceMetadataOptions {
            instance,
            hop_limit: self.http_put_response_hop_limit,
            tokens_required: self.http_tokens.map(HttpTokens::required),
        };
        call.commit(move |transaction| {
            transaction.apply(modify)?;
            let modified = transaction.region().instances().get(&instance).ok_or(Error::Unexpected)?;
            let instance_metadata_options = modified.metadata.into();
            Ok(ModifyInstanceMetadataOptionsAnswer { instance_id: instance, instance_metadata_options })
        })
    }
}

impl Action for DescribeInstanceAttribute {
    type Answer = DescribeInstanceAttributeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let region = call.region();
        let id = self.instance_id;
        let instance = region.instances().get(&id).ok_or(Fault::InstanceNotFound(id))?;
        let primary = instance.interfaces.first().and_then(|id| region.interfaces().get(id));
        let mut answer =
            DescribeInstanceAttributeAnswer { instance_id: id.to_string(), ..Default::default() };
        let value = |value| Some(Shown { value });
        match self.attribute {
            Attribute::BlockDeviceMapping => answer.block_device_mapping = Some(Vec::new()),
            Attribute::DisableApiStop => answer.disable_api_stop = value(false),
            Attribute::DisableApiTermination => {
                answer.disable_api_termination = value(instance.disable_api_termination);
            }
            Attribute::EbsOptimized => answer.ebs_optimized = value(false),
            Attribute::EnaSupport => answer.ena_support = value(true),
            Attribute::EnclaveOptions => answer.enclave_options = Some(Enabled { enabled: false }),
            Attribute::GroupSet => {
                answer.group_set = primary.map(|interface| memberships(&region, &interface.groups));
            }
            Attribute::InstanceInitiatedShutdownBehavior => {
                answer.instance_initiated_shutdown_behavior = Some(Shown { value: "stop" });
            }
            Attribute::InstanceType => {
                answer.instance_type = Some(Shown { value: instance.instance_type.clone() });
            }
            Attribute::ProductCodes => answer.product_codes = Some(Vec::new()),
            Attribute::RootDeviceName => {
                answer.root_device_name = Some(Shown { value: image::ROOT_DEVICE_NAME });
            }
            Attribute::SourceDestCheck => {
                answer.source_dest_check =
                    primary.map(|interface| Shown { value: interface.source_dest_check });
            }
            Attribute::UserData => {
                let data = instance.user_data.as_ref().map(|data| STANDARD.encode(data));
                answer.user_data = Some(Shown { value: data });
            }
            // No instance has one.
            Attribute::Kernel | Attribute::Ramdisk | Attribute::SriovNetSupport => {}
        }
        Ok(answer)
    }
}

/// An attribute by its name and its value as text, the other way to ask.
fn by_name(name: String, value: String) -> Result<InstanceAttribute, Error> {
    let switch = |value: String| match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            Err(Error::InvalidValue { value, name: "Value".to_owned(), reason: "Not a boolean.".to_owned() })
        }
    };
    match name.as_str() {
        "sourceDestCheck" => Ok(InstanceAttribute::SourceDestCheck(switch(value)?)),
        "disableApiTermination" => Ok(InstanceAttribute::DisableApiTermination(switch(value)?)),
        "instanceType" => of_type(value),
        "userData" => of_user_data(&value),
        _ => Err(Error::UnsupportedParameter { name: "Attribute".to_owned(), value: name }),
    }
}

fn of_type(name: String) -> Result<InstanceAttribute, Error> {
    instance_type::find(&name)?;
    Ok(InstanceAttribute::InstanceType(name))
}

fn of_user_data(text: &str) -> Result<InstanceAttribute, Error> {
    Ok(InstanceAttribute::UserData(user_data(text)?))
}
