//! Instance types: what AWS says of some of them ("Amazon EC2 instance types").

use model::NetworkLimits;
use serde::{Deserialize, Serialize};

use super::Describe;
use super::place::zone_id;
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;

/// An instance type.
pub(super) struct InstanceType {
    name: &'static str,
    /// Of its processor.
    pub(super) cores: u32,
    /// Of each core.
    pub(super) threads_per_core: u32,
    memory_mib: u64,
    network: &'static str,
    generation: Generation,
    /// Whether its processor lives on credits.
    burstable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// No longer offered to new customers, on Xen.
    Previous,
    /// On Xen.
    Xen,
    /// On Nitro.
    Nitro,
}

const UP_TO_5: &str = "Up to 5 Gigabit";
const UP_TO_10: &str = "Up to 10 Gigabit";
const LOW_TO_MODERATE: &str = "Low to Moderate";

const TYPES: &[InstanceType] = &[
    row("c5.large", (1, 2, 4096), UP_TO_10, Generation::Nitro, false),
    row("c5.xlarge", (2, 2, 8192), UP_TO_10, Generation::Nitro, false),
    row("m1.small", (1, 1, 1740), "Low", Generation::Previous, false),
    row("m4.large", (1, 2, 8192), "Moderate", Generation::Xen, false),
    row("m4.xlarge", (2, 2, 16384), "High", Generation::Xen, false),
    row("m5.large", (1, 2, 8192), UP_TO_10, Generation::Nitro, false),
    row("m5.xlarge", (2, 2, 16384), UP_TO_10, Generation::Nitro, false),
    row("t1.micro", (1, 1, 627), "Very Low", Generation::Previous, false),
    row("t2.large", (2, 1, 8192), LOW_TO_MODERATE, Generation::Xen, true),
    row("t2.medium", (2, 1, 4096), LOW_TO_MODERATE, Generation::Xen, true),
    row("t2.micro", (1, 1, 1024), LOW_TO_MODERATE, Generation::Xen, true),
    row("t2.nano", (1, 1, 512), LOW_TO_MODERATE, Generation::Xen, true),
    row("t2.small", (1, 1, 2048), LOW_TO_MODERATE, Generation::Xen, true),
    row("t3.large", (1, 2, 8192), UP_TO_5, Generation::Nitro, true),
    row("t3.medium", (1, 2, 4096), UP_TO_5, Generation::Nitro, true),
    row("t3.micro", (1, 2, 1024), UP_TO_5, Generation::Nitro, true),
    row("t3.nano", (1, 2, 512), UP_TO_5, Generation::Nitro, true),
    row("t3.small", (1, 2, 2048), UP_TO_5, Generation::Nitro, true),
];

const fn row(
    name: &'static str,
    (cores, threads_per_core, memory_mib): (u32, u32, u64),
    network: &'static str,
    generation: Generation,
    burstable: bool,
) -> InstanceType {
    InstanceType { name, cores, threads_per_core, memory_mib, network, generation, burstable }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceTypes {
    #[serde(default)]
    instance_type: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownType {
    instance_type: &'static str,
    current_generation: bool,
    free_tier_eligible: bool,
    supported_usage_classes: Vec<&'static str>,
    supported_root_device_types: Vec<&'static str>,
    supported_virtualization_types: Vec<&'static str>,
    bare_metal: bool,
    hypervisor: &'static str,
    processor_info: ProcessorInfo,
    v_cpu_info: VCpuInfo,
    memory_info: MemoryInfo,
    instance_storage_supported: bool,
    network_info: NetworkInfo,
    hibernation_supported: bool,
    burstable_performance_supported: bool,
    dedicated_hosts_supported: bool,
    auto_recovery_supported: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessorInfo {
    supported_architectures: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VCpuInfo {
    #[serde(rename = "defaultVCpus")]
    default_vcpus: u32,
    default_cores: u32,
    default_threads_per_core: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryInfo {
    #[serde(rename = "sizeInMiB")]
    size_in_mib: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworkInfo {
    network_performance: &'static str,
    maximum_network_interfaces: Option<usize>,
    maximum_network_cards: u32,
    default_network_card_index: u32,
    ipv4_addresses_per_interface: Option<usize>,
    ipv6_addresses_per_interface: Option<usize>,
    ipv6_supported: bool,
    ena_support: &'static str,
    efa_supported: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceTypeOfferings {
    #[serde(default)]
    location_type: LocationType,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum LocationType {
    #[default]
    Region,
    AvailabilityZone,
    AvailabilityZoneId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offering {
    instance_type: &'static str,
    location_type: LocationType,
    location: String,
}

const FILTERS: &Names = &[
    ("auto-recovery-supported", "autoRecoverySupported"),
    ("bare-metal", "bareMetal"),
    ("burstable-performance-supported", "burstablePerformanceSupported"),
    ("current-generation", "currentGeneration"),
    ("dedicated-hosts-supported", "dedicatedHostsSupported"),
    ("free-tier-eligible", "freeTierEligible"),
    ("hibernation-supported", "hibernationSupported"),
    ("hypervisor", "hypervisor"),
    ("instance-storage-supported", "instanceStorageSupported"),
    ("instance-type", "instanceType"),
    ("memory-info.size-in-mib", "memoryInfo.sizeInMiB"),
    ("network-info.efa-supported", "networkInfo.efaSupported"),
    ("network-info.ena-support", "networkInfo.enaSupport"),
    ("network-info.ipv4-addresses-per-interface", "networkInfo.ipv4AddressesPerInterface"),
    ("network-info.ipv6-supported", "networkInfo.ipv6Supported"),
    ("network-info.maximum-network-interfaces", "networkInfo.maximumNetworkInterfaces"),
    ("network-info.network-performance", "networkInfo.networkPerformance"),
    ("processor-info.supported-architecture", "processorInfo.supportedArchitectures"),
    ("supported-root-device-type", "supportedRootDeviceTypes"),
    ("supported-usage-class", "supportedUsageClasses"),
    ("supported-virtualization-type", "supportedVirtualizationTypes"),
    ("vcpu-info.default-cores", "vCpuInfo.defaultCores"),
    ("vcpu-info.default-threads-per-core", "vCpuInfo.defaultThreadsPerCore"),
    ("vcpu-info.default-vcpus", "vCpuInfo.defaultVCpus"),
];

impl Describe for DescribeInstanceTypes {
    const LIMITS: &'static [Limit] = &[("IncludeUnsupportedInRegion", &["false", "true"])];
    const SET: &'static str = "instanceTypeSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownType;

    fn by_id(&self) -> bool {
        !self.instance_type.is_empty()
    }

    fn all(&self, _: &Call<'_>) -> Result<Vec<(String, ShownType)>, Error> {
        if let Some(stranger) = self.instance_type.iter().find(|name| named(name).is_none()) {
            return Err(Error::NotFound {
                code: "InvalidInstanceType",
                kind: "instance type",
                id: stranger.clone(),
            });
        }
        let asked =
            |known: &&InstanceType| !self.by_id() || self.instance_type.iter().any(|name| name == known.name);
        Ok(TYPES.iter().filter(asked).map(|known| (known.name.to_owned(), shown(known))).collect())
    }
}

impl Describe for DescribeInstanceTypeOfferings {
    const SET: &'static str = "instanceTypeOfferingSet";
    const FILTERS: &'static Names = &[("instance-type", "instanceType"), ("location", "location")];
    type Shown = Offering;

    fn by_id(&self) -> bool {
        false
    }

    /// Everywhere is each of them.
    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, Offering)>, Error> {
        let region = &call.key.region;
        let locations: Vec<String> = match self.location_type {
            LocationType::Region => vec![region.0.clone()],
            LocationType::AvailabilityZone => region.availability_zones().collect(),
            LocationType::AvailabilityZoneId => {
                region.availability_zones().map(|zone| zone_id(&zone)).collect()
            }
        };
        let offered = |location: &String| {
            let location = location.clone();
            TYPES.iter().map(move |known| Offering {
                instance_type: known.name,
                location_type: self.location_type,
                location: location.clone(),
            })
        };
        let offerings = locations.iter().flat_map(offered);
        Ok(offerings.map(|it| (format!("{} {}", it.location, it.instance_type), it)).collect())
    }
}

/// The type of a name.
pub(super) fn named(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|known| known.name == name)
}

/// The type of a name that instances are to have.
pub(super) fn find(name: &str) -> Result<&'static InstanceType, Error> {
    named(name).ok_or_else(|| Error::InvalidValue {
        value: name.to_owned(),
        name: "InstanceType".to_owned(),
        reason: "There is no such instance type here.".to_owned(),
    })
}

fn shown(known: &InstanceType) -> ShownType {
    let nitro = known.generation == Generation::Nitro;
    let ipv6 = model::knows_ipv6(known.name);
    let limits = NetworkLimits::of(known.name);
    let addresses = limits.map(|limits| limits.addresses);
    ShownType {
        instance_type: known.name,
        current_generation: known.generation != Generation::Previous,
        free_tier_eligible: known.name == "t2.micro" || known.name == "t3.micro",
        supported_usage_classes: vec!["on-demand"],
        supported_root_device_types: vec![super::image::ROOT_DEVICE_TYPE],
        supported_virtualization_types: vec!["hvm"],
        bare_metal: false,
        hypervisor: if nitro { "nitro" } else { "xen" },
        processor_info: ProcessorInfo { supported_architectures: vec!["x86_64"] },
        v_cpu_info: VCpuInfo {
            default_vcpus: known.cores * known.threads_per_core,
            default_cores: known.cores,
            default_threads_per_core: known.threads_per_core,
        },
        memory_info: MemoryInfo { size_in_mib: known.memory_mib },
        instance_storage_supported: false,
        network_info: NetworkInfo {
            network_performance: known.network,
            maximum_network_interfaces: limits.map(|limits| limits.interfaces),
            maximum_network_cards: 1,
            default_network_card_index: 0,
            ipv4_addresses_per_interface: addresses,
            ipv6_addresses_per_interface: if ipv6 { addresses } else { Some(0) },
            ipv6_supported: ipv6,
            ena_support: if nitro { "required" } else { "unsupported" },
            efa_supported: false,
        },
        hibernation_supported: false,
        burstable_performance_supported: known.burstable,
        dedicated_hosts_supported: false,
        auto_recovery_supported: false,
    }
}
