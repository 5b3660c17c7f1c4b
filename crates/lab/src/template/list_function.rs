//! Functions of lists.

use ipnet::IpNet;

use crate::error::{LabError, TemplateFault};
use crate::yaml::Node;

pub(super) const SELECT: TemplateFault =
    TemplateFault::Argument { function: "Fn::Select", expected: "an index and a list that is long enough" };
pub(super) const CIDR: TemplateFault = TemplateFault::Argument {
    function: "Fn::Cidr",
    expected: "a network, how many parts of it (1 to 256), and the bits of a part's addresses",
};

pub(super) const JOIN: TemplateFault =
    TemplateFault::Argument { function: "Fn::Join", expected: "a text to put between, and a list of texts" };
pub(super) const SPLIT: TemplateFault =
    TemplateFault::Argument { function: "Fn::Split", expected: "a text to split at, not empty, and a text" };

/// The texts of a list with `between` between them.
pub(super) fn join(between: &str, list: &Node) -> Result<String, LabError> {
    let items = list.list("the list of Fn::Join")?.iter().map(|item| item.text("an item of Fn::Join"));
    Ok(items.collect::<Result<Vec<_>, _>>()?.join(between))
}

/// The item of a list, counted from 0.
pub(super) fn select(index: &Node, list: &Node) -> Result<Node, LabError> {
    let at: usize = index.value("an index, from 0")?;
    let item = list.list("the list of Fn::Select")?.get(at);
    item.cloned().ok_or_else(|| index.error(SELECT))
}

/// The first `count` parts of a network, each with addresses of so many bits.
pub(super) fn cidr(block: &Node, count: &Node, bits: &Node) -> Result<Vec<String>, LabError> {
    let network: IpNet = block.value("a network such as 10.0.0.0/16 or 2001:db8::/56")?;
    let asked: usize = count.value("a number of networks")?;
    let bits_of_part: u8 = bits.value("a number of bits")?;
    let parts = network.max_prefix_len().checked_sub(bits_of_part).and_then(|prefix| {
        let parts = network.subnets(prefix).ok()?;
        Some(parts.take(asked).map(|part| part.to_string()).collect::<Vec<_>>())
    });
    let whole = parts.filter(|parts| (1..=256).contains(&asked) && parts.len() == asked);
    whole.ok_or_else(|| count.error(CIDR))
}
