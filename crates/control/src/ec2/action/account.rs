//! What an account has.

use serde::{Deserialize, Serialize};

use super::Describe;
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAccountAttributes {
    #[serde(default)]
    attribute_name: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAttribute {
    attribute_name: &'static str,
    attribute_value_set: Vec<AttributeValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttributeValue {
    attribute_value: String,
}

impl Describe for DescribeAccountAttributes {
    const SET: &'static str = "accountAttributeSet";
    const FILTERS: &'static Names = &[];
    type Shown = ShownAttribute;

    fn by_id(&self) -> bool {
        false
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownAttribute)>, Error> {
        let region = call.region();
        let addresses = region.quotas().addresses.to_string();
        let default_vpc = region.default_vpc().map_or_else(|| "none".to_owned(), |vpc| vpc.id.to_string());
        let known = [
            ("default-vpc", default_vpc),
            ("max-elastic-ips", addresses.clone()),
            ("supported-platforms", "VPC".to_owned()),
            ("vpc-max-elastic-ips", addresses),
            ("vpc-max-security-groups-per-interface", region.quotas().groups_per_interface.to_string()),
        ];
        if let Some(stranger) =
            self.attribute_name.iter().find(|name| known.iter().all(|(known, _)| known != name))
        {
            return Err(Error::InvalidValue {
                value: stranger.clone(),
                name: "AttributeName".to_owned(),
                reason: "There is no such attribute.".to_owned(),
            });
        }
        let asked = |name: &str| {
            self.attribute_name.is_empty() || self.attribute_name.iter().any(|asked| asked == name)
        };
        let shown =
            known.into_iter().filter(|(name, _)| asked(name)).map(|(attribute_name, attribute_value)| {
                let attribute_value_set = vec![AttributeValue { attribute_value }];
                (attribute_name.to_owned(), ShownAttribute { attribute_name, attribute_value_set })
            });
        Ok(shown.collect())
    }
}
