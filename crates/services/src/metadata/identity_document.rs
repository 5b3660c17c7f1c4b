//! The instance identity document (EC2 User Guide, "Instance identity documents for Amazon EC2 instances").

use std::net::Ipv4Addr;

use model::{AccountId, DateTime, ImageId, InstanceId, RegionName};
use serde::Serialize;

use super::identity::Identity;

/// The version that the User Guide shows.
const VERSION: &str = "2017-09-30";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    account_id: &'a AccountId,
    architecture: &'static str,
    availability_zone: &'a str,
    billing_products: Option<()>,
    devpay_product_codes: Option<()>,
    marketplace_product_codes: Option<()>,
    image_id: ImageId,
    instance_id: InstanceId,
    instance_type: &'a str,
    kernel_id: Option<()>,
    pending_time: String,
    private_ip: Ipv4Addr,
    ramdisk_id: Option<()>,
    region: &'a RegionName,
    version: &'static str,
}

/// The document in JSON; none of an instance that has no interface.
pub(super) fn of(identity: &Identity<'_>) -> Option<Vec<u8>> {
    let (region, instance) = (identity.region, identity.instance);
    let primary = identity.interfaces().next()?;
    let document = Document {
        account_id: &region.key().account,
        // Every image is for this machine.
        architecture: match std::env::consts::ARCH {
            "aarch64" => "arm64",
            other => other,
        },
        availability_zone: &region.subnets().get(&primary.subnet)?.availability_zone,
        billing_products: None,
        devpay_product_codes: None,
        marketplace_product_codes: None,
        image_id: instance.image,
        instance_id: instance.id,
        instance_type: &instance.instance_type,
        kernel_id: None,
        pending_time: format!("{}Z", DateTime(instance.launch_time)),
        private_ip: primary.private_ip,
        ramdisk_id: None,
        region: &region.key().region,
        version: VERSION,
    };
    serde_json::to_vec_pretty(&document).ok()
}
