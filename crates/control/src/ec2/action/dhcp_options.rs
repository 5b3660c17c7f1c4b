//! DHCP option sets.

use std::fmt::Display;
use std::str::FromStr;

use model::{Applied, BadId, Change, DhcpConfiguration, DhcpOptions, DhcpOptionsId, Fault, Region, VpcId};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateDhcpOptions {
    dhcp_configuration: Vec<NewOption>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewOption {
    key: String,
    #[serde(default)]
    value: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateDhcpOptionsAnswer {
    dhcp_options: ShownDhcpOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeDhcpOptions {
    #[serde(default)]
    dhcp_options_id: Vec<DhcpOptionsId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateDhcpOptions {
    dhcp_options_id: OptionsOrNone,
    vpc_id: VpcId,
}

/// An option set or, as "default", none.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct OptionsOrNone(Option<DhcpOptionsId>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteDhcpOptions {
    dhcp_options_id: DhcpOptionsId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownDhcpOptions {
    dhcp_options_id: DhcpOptionsId,
    owner_id: String,
    dhcp_configuration_set: Vec<ShownOption>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOption {
    key: &'static str,
    value_set: Vec<ShownValue>,
}

#[derive(Serialize)]
struct ShownValue {
    value: String,
}

const FILTERS: &Names = &[
    ("dhcp-options-id", "dhcpOptionsId"),
    ("key", "dhcpConfigurationSet.key"),
    ("owner-id", "ownerId"),
    ("tag-key", "tagSet.key"),
    ("value", "dhcpConfigurationSet.valueSet.value"),
];

impl Action for CreateDhcpOptions {
    type Answer = CreateDhcpOptionsAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let tags = tags_for("dhcp-options", self.tag_specification)?;
        let mut configuration = DhcpConfiguration::default();
        for option in &self.dhcp_configuration {
            set(&mut configuration, option)?;
        }
        call.commit(move |transaction| {
            let applied = transaction.apply(Change::CreateDhcpOptions { configuration, tags })?;
            let Applied::DhcpOptions(id) = applied else { return Err(Error::Unexpected) };
            let region = transaction.region();
            let made = region.dhcp_options().get(&id).ok_or(Error::Unexpected)?;
            Ok(CreateDhcpOptionsAnswer { dhcp_options: shown(region, made) })
        })
    }
}

impl Describe for DescribeDhcpOptions {
    const SET: &'static str = "dhcpOptionsSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownDhcpOptions;

    fn by_id(&self) -> bool {
        !self.dhcp_options_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownDhcpOptions)>, Error> {
        let region = call.region();
        let sets = pick(&self.dhcp_options_id, region.dhcp_options(), Fault::DhcpOptionsNotFound)?;
        Ok(sets.into_iter().map(|options| (options.id.to_string(), shown(&region, options))).collect())
    }
}

impl Action for AssociateDhcpOptions {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let OptionsOrNone(options) = self.dhcp_options_id;
        call.apply(Change::AssociateDhcpOptions { options, vpc: self.vpc_id })?;
        Ok(DONE)
    }
}

impl Action for DeleteDhcpOptions {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteDhcpOptions { options: self.dhcp_options_id })?;
        Ok(DONE)
    }
}

impl TryFrom<String> for OptionsOrNone {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        if text == "default" { Ok(OptionsOrNone(None)) } else { text.parse().map(Some).map(OptionsOrNone) }
    }
}

/// Puts one option of a request into the set. Several servers are several values, or one with commas.
fn set(configuration: &mut DhcpConfiguration, option: &NewOption) -> Result<(), Error> {
    let values: Vec<&str> = option.value.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    let key = option.key.as_str();
    if values.is_empty() {
        return Err(Error::MissingParameter(format!("Value of {key}")));
    }
    match key {
        "domain-name" => configuration.domain_name = Some(option.value.join(" ")),
        "domain-name-servers" => configuration.domain_name_servers = all(key, &values)?,
        "ntp-servers" => configuration.ntp_servers = all(key, &values)?,
        "netbios-name-servers" => configuration.netbios_name_servers = all(key, &values)?,
        "netbios-node-type" => configuration.netbios_node_type = Some(only(key, &values)?),
        "ipv6-address-preferred-lease-time" => {
            configuration.ipv6_address_preferred_lease_time = Some(only(key, &values)?);
        }
        _ => {
            let reason = "Unknown DHCP option".to_owned();
            return Err(Error::InvalidValue { value: key.to_owned(), name: "key".to_owned(), reason });
        }
    }
    Ok(())
}

fn all<T: FromStr<Err: Display>>(key: &str, values: &[&str]) -> Result<Vec<T>, Error> {
    values.iter().map(|value| parsed(key, value)).collect()
}

fn only<T: FromStr<Err: Display>>(key: &str, values: &[&str]) -> Result<T, Error> {
    match values {
        [value] => parsed(key, value),
        _ => Err(Error::InvalidValue {
            value: values.join(", "),
            name: key.to_owned(),
            reason: "Expecting one value.".to_owned(),
        }),
    }
}

fn parsed<T: FromStr<Err: Display>>(key: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|error: T::Err| Error::InvalidValue {
        value: value.to_owned(),
        name: key.to_owned(),
        reason: error.to_string(),
    })
}

fn shown(region: &Region, options: &DhcpOptions) -> ShownDhcpOptions {
    let says = &options.configuration;
    let all = [
        ("domain-name", texts(&says.domain_name)),
        ("domain-name-servers", texts(&says.domain_name_servers)),
        ("ntp-servers", texts(&says.ntp_servers)),
        ("netbios-name-servers", texts(&says.netbios_name_servers)),
        ("netbios-node-type", texts(&says.netbios_node_type)),
        ("ipv6-address-preferred-lease-time", texts(&says.ipv6_address_preferred_lease_time)),
    ];
    let option = |(key, values): (&'static str, Vec<String>)| ShownOption {
        key,
        value_set: values.into_iter().map(|value| ShownValue { value }).collect(),
    };
    ShownDhcpOptions {
        dhcp_options_id: options.id,
        owner_id: region.key().account.0.clone(),
        dhcp_configuration_set: all
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(option)
            .collect(),
        tag_set: tag_set(&options.tags),
    }
}

fn texts<'a, T: ToString + 'a>(values: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    values.into_iter().map(ToString::to_string).collect()
}
