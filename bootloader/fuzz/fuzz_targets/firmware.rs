//! Any bytes as an entry of the firmware's menu: what is read says the same when it is written again, and an entry
//! beside it changes nothing of it.

#![no_main]

use cairn_bootloader::firmware::{BootVariables, LoadOption, Program};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(option) = LoadOption::parse(bytes) {
        let again = LoadOption::parse(&option.to_bytes());
        assert_eq!(again.as_ref().map(LoadOption::program), Some(option.program()));
    }
    let program = Program {
        number: 1,
        start: 2048,
        blocks: 4096,
        guid: [1; 16],
        path: r"\EFI\BOOT\BOOTX64.EFI".to_owned(),
    };
    let wanted = [LoadOption::new("entry", program).expect("a name and a path that fit")];
    let mut variables = BootVariables::default();
    variables.take("Boot0000", bytes);
    variables.take("BootOrder", bytes);
    for write in variables.plan(&wanted) {
        variables.take(&write.name(), &write.to_bytes());
    }
    assert_eq!(variables.plan(&wanted), []);
});
