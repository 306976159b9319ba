//! The command line of `torture cuts`.

use anyhow::{Context as _, bail};
use cairn_qemu_tests::power_cut::write_log::SECTOR;

pub const USAGE: &str = "\
usage: torture cuts [--short] [--cuts N] [--boots N] [--seed N] [--keep] [--again] [--sector N] [--lying-disk]

  --short     one switch, 60 cuts, 2 boots
  --cuts N    how many power cuts are judged: 1000
  --boots N   how many of them are booted, half with BIOS and half with UEFI: 20
  --seed N    which ones: 1
  --keep      leave the recorded log and the copies of the disk in target/vm-tests/torture
  --again     record nothing: judge what was kept; implies --keep
  --sector N  bytes that the disk writes whole or not at all: 512
  --lying-disk
              the disk flushes nothing when it is told to; if nothing is lost then, the judge is blind
";

/// How much is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// One switch.
    Short,
    /// Everything that changes a generation.
    Long,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub length: Length,
    pub cuts: usize,
    pub boots: usize,
    pub seed: u64,
    pub keep: bool,
    pub again: bool,
    pub sector: u64,
    pub lying_disk: bool,
}

impl Arguments {
    /// How many sectors of the log the disk writes whole.
    pub fn physical(&self) -> u64 {
        self.sector / SECTOR
    }

    /// Nothing if only the usage is asked for.
    pub fn parse(words: &[String]) -> anyhow::Result<Option<Self>> {
        let short = words.iter().any(|word| word == "--short");
        let (length, cuts, boots) = if short {
            (Length::Short, 60, 2)
        } else {
            (Length::Long, 1000, 20)
        };
        let mut arguments = Self {
            length,
            cuts,
            boots,
            seed: 1,
            keep: false,
            again: false,
            sector: 512,
            lying_disk: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || -> anyhow::Result<u64> {
                let value = words
                    .next()
                    .with_context(|| format!("{word} needs a number"))?;
                value
                    .parse()
                    .with_context(|| format!("'{value}' is no number for {word}"))
            };
            match word.as_str() {
                "--short" => {}
                "--cuts" => arguments.cuts = usize::try_from(number()?)?,
                "--boots" => arguments.boots = usize::try_from(number()?)?,
                "--seed" => arguments.seed = number()?,
                "--keep" => arguments.keep = true,
                "--again" => (arguments.again, arguments.keep) = (true, true),
                "--sector" => arguments.sector = number()?,
                "--lying-disk" => arguments.lying_disk = true,
                "--help" | "-h" => return Ok(None),
                _ => bail!("there is no option '{word}'\n\n{USAGE}"),
            }
        }
        Ok(Some(arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Option<Arguments>> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn words() {
        let short = parse("--seed 7 --short --cuts 9").unwrap().unwrap();
        let wanted = Arguments {
            length: Length::Short,
            cuts: 9,
            boots: 2,
            seed: 7,
            keep: false,
            again: false,
            sector: 512,
            lying_disk: false,
        };
        assert_eq!(short, wanted);
        assert_eq!(parse("").unwrap().unwrap().cuts, 1000);
        assert!(parse("--cuts x --help").is_err());
        assert_eq!(parse("--help").unwrap(), None);
    }
}
