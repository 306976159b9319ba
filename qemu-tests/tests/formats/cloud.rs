//! The machine as an instance of EC2: a larger volume on NVMe, and a metadata service that wants tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::{Boot, Bus, artefacts, images};

use super::{has_grown, image, machine, runs};

/// One request by standard input, answered as the service does: without its token there is nothing.
const SERVICE: &str = r##"#!/usr/bin/python3
import sys
request = b""
while not request.endswith(b"\r\n\r\n"):
    byte = sys.stdin.buffer.read(1)
    if not byte:
        sys.exit(0)
    request += byte
lines = request.decode().split("\r\n")
method, path, _ = lines[0].split(" ")
headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
key = open(sys.path[0] + "/key.pub").read()
values = {
    "/latest/meta-data/hostname": "instance-7.compute.internal",
    "/latest/meta-data/public-keys/0/openssh-key": key,
    "/latest/user-data": "#!/bin/sh\nid -un > /var/lib/user-data-was-here\n",
}
status, body = "404 Not Found", ""
if (method, path) == ("PUT", "/latest/api/token"):
    if "x-aws-ec2-metadata-token-ttl-seconds" in headers:
        status, body = "200 OK", "a-token"
    else:
        status = "400 Bad Request"
elif headers.get("x-aws-ec2-metadata-token") != "a-token":
    status = "401 Unauthorized"
elif method == "GET" and path in values:
    status, body = "200 OK", values[path]
answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
sys.stdout.write(answer)
sys.stdout.flush()
# The connection ends with this program: the other end closes it first.
sys.stdin.buffer.read()
"##;

fn service(folder: &Path) -> anyhow::Result<PathBuf> {
    let key = images::ssh_key()?.with_extension("pub");
    fs::copy(&key, folder.join("key.pub"))?;
    let program = folder.join("metadata");
    fs::write(&program, SERVICE)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn an_instance_obeys_its_metadata_and_grows() -> anyhow::Result<()> {
    const VOLUME: u64 = 4 << 30;
    let built = image("ami")?;
    let folder = artefacts::folder("formats-ami-service")?;
    // A volume is larger than the image that it is made of.
    let volume = folder.join("volume.img");
    copy_sparsely(&built.image, &volume)?;
    let file = fs::File::options().write(true).open(&volume);
    file.context("cannot open the volume")?.set_len(VOLUME)?;
    let machine = machine("formats-ami", Boot::Bios, Bus::Nvme, &volume)
        .metadata(&service(&folder)?)
        .start()?;
    runs(&machine, &built)?;
    machine.check("metadata", |machine| {
        let agent = machine.agent();
        let done = "until cairn status amazon-init | grep -q 'state: *up'; do sleep 0.5; done; \
                    until cairn status print-host-key | grep -q 'state: *up'; do sleep 0.5; done";
        agent.run_within(done, Duration::from_mins(4))?;
        let facts = agent.succeed(
            "hostname; cat /etc/ec2-metadata/hostname; echo; cat /var/lib/user-data-was-here; \
             stat -c %a /etc/ec2-metadata/user-data",
        )?;
        // A name that the configuration has stays.
        let wanted = "formats\ninstance-7.compute.internal\nroot\n600";
        ensure!(facts.trim() == wanted, "{facts}");
        let key = fs::read_to_string(folder.join("key.pub"))?;
        let keys = agent.succeed("cat /root/.ssh/authorized_keys")?;
        ensure!(keys.trim() == key.trim(), "{keys}");
        machine
            .console()
            .wait_for("END SSH HOST KEY FINGERPRINTS")
            .map(drop)
    })?;
    machine.check("size", |machine| has_grown(machine, VOLUME, 9))?;
    drop(machine);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}
