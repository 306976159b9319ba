//! `modules.alias`: which module drives a device that tells what it is.

use super::pattern::matches;

/// Modules that drive the device with this `modalias`, by the text of an index. Each line of it is
/// `alias PATTERN MODULE`.
#[must_use]
pub fn drivers(index: &str, modalias: &str) -> Vec<String> {
    let mut found: Vec<String> = index
        .lines()
        .filter_map(|line| {
            let (pattern, module) = line.strip_prefix("alias ")?.rsplit_once(' ')?;
            matches(pattern, modalias).then(|| module.to_owned())
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_by_alias() {
        let index = "# Aliases\n\
                     alias pci:v*d*sv*sd*bc01sc06i01* ahci\n\
                     alias pci:v00008086d00002922sv*sd*bc*sc*i* ahci\n\
                     alias pci:v00008086d00001*sv*sd*bc*sc*i* other\n";
        let device = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01";
        assert_eq!(drivers(index, device), ["ahci"]);
        assert!(drivers(index, "usb:v1").is_empty());
    }
}
