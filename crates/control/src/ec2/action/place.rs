//! Regions and availability zones.

use model::RegionName;
pub(super) use model::zone_id;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;

/// The regions that every AWS account has. Any other name is as good: a region is there once it is asked for.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

const OPTED_IN: &str = "opt-in-not-required";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeRegions {
    #[serde(default)]
    region_name: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAvailabilityZones {
    #[serde(default)]
    zone_name: Vec<String>,
    #[serde(default)]
    zone_id: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownRegion {
    region_name: String,
    region_endpoint: String,
    opt_in_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownZone {
    zone_name: String,
    zone_id: String,
    zone_state: &'static str,
    zone_type: &'static str,
    region_name: String,
    group_name: String,
    network_border_group: String,
    opt_in_status: &'static str,
    message_set: Vec<()>,
}

impl Describe for DescribeRegions {
    const LIMITS: &'static [Limit] = &[("AllRegions", &["false", "true"])];
    const SET: &'static str = "regionInfo";
    const FILTERS: &'static Names =
        &[("endpoint", "regionEndpoint"), ("opt-in-status", "optInStatus"), ("region-name", "regionName")];
    type Shown = ShownRegion;

    fn by_id(&self) -> bool {
        !self.region_name.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownRegion)>, Error> {
        let own = call.key.region.0.as_str();
        let mut names: Vec<&str> = REGIONS.to_vec();
        if let Err(at) = names.binary_search(&own) {
            names.insert(at, own);
        }
        if let Some(stranger) = self.region_name.iter().find(|name| !names.contains(&name.as_str())) {
            return Err(invalid("RegionName", stranger, "There is no such region."));
        }
        if self.by_id() {
            names.retain(|name| self.region_name.iter().any(|asked| asked == name));
        }
        let shown = |name: &str| ShownRegion {
            region_name: name.to_owned(),
            // All regions are here.
            region_endpoint: call.host.to_owned(),
            opt_in_status: OPTED_IN,
        };
        Ok(names.into_iter().map(|name| (name.to_owned(), shown(name))).collect())
    }
}

impl Describe for DescribeAvailabilityZones {
    const LIMITS: &'static [Limit] = &[("AllAvailabilityZones", &["false", "true"])];
    const SET: &'static str = "availabilityZoneInfo";
    const FILTERS: &'static Names = &[
        ("group-name", "groupName"),
        ("message", "messageSet.message"),
        ("opt-in-status", "optInStatus"),
        ("region-name", "regionName"),
        ("state", "zoneState"),
        ("zone-id", "zoneId"),
        ("zone-name", "zoneName"),
        ("zone-type", "zoneType"),
    ];
    type Shown = ShownZone;

    fn by_id(&self) -> bool {
        !self.zone_name.is_empty() || !self.zone_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownZone)>, Error> {
        let region = &call.key.region;
        let known: Vec<String> = region.availability_zones().collect();
        if let Some(stranger) = self.zone_name.iter().find(|name| !known.contains(name)) {
            return Err(invalid("ZoneName", stranger, "There is no such availability zone."));
        }
        for id in &self.zone_id {
            zone_of(region, id)?;
        }
        let asked = |name: &String| {
            !self.by_id() || self.zone_name.contains(name) || self.zone_id.contains(&zone_id(name))
        };
        let shown = |zone_name: String| ShownZone {
            zone_id: zone_id(&zone_name),
            zone_name,
            zone_state: "available",
            zone_type: "availability-zone",
            region_name: region.0.clone(),
            group_name: region.0.clone(),
            network_border_group: region.0.clone(),
            opt_in_status: OPTED_IN,
            message_set: Vec::new(),
        };
        Ok(known.into_iter().filter(asked).map(|name| (name.clone(), shown(name))).collect())
    }
}

/// The availability zone of a region that has an id.
pub(super) fn zone_of(region: &RegionName, id: &str) -> Result<String, Error> {
    let zone = region.availability_zones().find(|zone| zone_id(zone) == id);
    zone.ok_or_else(|| invalid("AvailabilityZoneId", id, "There is no such availability zone."))
}

fn invalid(name: &str, value: &str, reason: &str) -> Error {
    Error::InvalidValue { value: value.to_owned(), name: name.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_zones() {
        for (zone, id) in [
            ("eu-west-1a", "euw1-az1"),
            ("us-east-1f", "use1-az6"),
            ("ap-southeast-2c", "apse2-az3"),
            ("ca-central-1b", "cac1-az2"),
        ] {
            let region = RegionName(zone[..zone.len() - 1].to_owned());
            assert_eq!(zone_of(&region, id).unwrap(), zone);
        }
        assert!(zone_of(&RegionName("eu-west-1".to_owned()), "use1-az1").is_err());
    }
}
