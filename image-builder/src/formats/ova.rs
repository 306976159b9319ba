//! OVA: a tar archive of a virtual machine's description, its disk, and their checksums.
//!
//! ```text
//! NAME.ovf         padded with spaces to 16 KiB, since it has the disk's length
//! NAME-disk1.vmdk  stream-optimised
//! NAME.mf          SHA256 of both
//! ```
//! The order is the specification's. The disk is written straight to its place.
//!
//! Source: DSP0243, Open Virtualization Format Specification 1.1.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::region::Region;

use super::raw::Raw;
use super::{Conversion, Failure, vmdk};

const BLOCK: u64 = 512;
const OVF_LENGTH: usize = 16 << 10;
/// Memory and processors of the machine; its user may change them.
const MEMORY_MIB: u32 = 2048;
const PROCESSORS: u32 = 2;

/// Writes the archive, and gives back its length.
pub(super) fn write(
    raw: &Raw,
    conversion: &Conversion<'_>,
    region: &Region<'_>,
) -> Result<u64, Failure> {
    let name = conversion.name;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let problem = format!("a virtual machine cannot be named '{name}'");
        return Err(Failure::Unfit(problem));
    }
    let put = |bytes: &[u8], offset: u64| region.write_at(bytes, offset).map_err(Failure::Write);
    let ovf_place = BLOCK;
    let disk_header = ovf_place + OVF_LENGTH as u64;
    let disk_place = disk_header + BLOCK;
    let mut hasher = Sha256::new();
    let mut position = disk_place;
    let length = vmdk::stream(raw, conversion, &mut |bytes| {
        hasher.update(bytes);
        region.write_at(bytes, position)?;
        position += bytes.len() as u64;
        Ok(())
    })?;
    let mut ovf = describe(name, raw.size, length).into_bytes();
    if ovf.len() > OVF_LENGTH {
        return Err(Failure::Unfit("its description is too long".to_owned()));
    }
    ovf.resize(OVF_LENGTH, b' ');
    let disk = format!("{name}-disk1.vmdk");
    let sums = format!(
        "SHA256({name}.ovf)= {}\nSHA256({disk})= {}\n",
        hexadecimal(&Sha256::digest(&ovf)),
        hexadecimal(&hasher.finalize()),
    );
    let entry = |name: &str, size: u64| entry_header(name, size, conversion.epoch);
    put(&entry(&format!("{name}.ovf"), OVF_LENGTH as u64)?, 0)?;
    put(&ovf, ovf_place)?;
    put(&entry(&disk, length)?, disk_header)?;
    let sums_header = disk_place + length.next_multiple_of(BLOCK);
    put(
        &entry(&format!("{name}.mf"), sums.len() as u64)?,
        sums_header,
    )?;
    put(sums.as_bytes(), sums_header + BLOCK)?;
    // Two empty blocks end an archive.
    let end = sums_header + BLOCK + (sums.len() as u64).next_multiple_of(BLOCK);
    Ok(end + 2 * BLOCK)
}

fn entry_header(name: &str, size: u64, epoch: u32) -> Result<[u8; 512], Failure> {
    // More has no place in a header that every reader knows.
    if size >= 8 << 30 {
        let problem = format!("'{name}' has {size} bytes, and an OVA's files less than 8 GiB");
        return Err(Failure::Unfit(problem));
    }
    let mut header = tar::Header::new_ustar();
    header.set_path(name).map_err(Failure::Write)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch.into());
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(*header.as_bytes())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// The description of a machine with one disk of `capacity` bytes, stored in `size`.
fn describe(name: &str, capacity: u64, size: u64) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:id="file1" ovf:href="{name}-disk1.vmdk" ovf:size="{size}"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="NAT">
      <Description>Reaches others, and is not reached</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>A virtual machine</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="101">
      <Info>The operating system</Info>
      <Description>Linux, 64 bits</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>The hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-07 virtualbox-2.2</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:ElementName>{PROCESSORS} processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{PROCESSORS}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>{MEMORY_MIB} MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{MEMORY_MIB}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SATA controller</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>NAT</rasd:Connection>
        <rasd:ElementName>Network adapter</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_description() {
        expect_test::expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
              <References>
                <File ovf:id="file1" ovf:href="machine-disk1.vmdk" ovf:size="1234"/>
              </References>
              <DiskSection>
                <Info>Virtual disks</Info>
                <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="629145600" ovf:capacityAllocationUnits="byte" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
              </DiskSection>
              <NetworkSection>
                <Info>Networks</Info>
                <Network ovf:name="NAT">
                  <Description>Reaches others, and is not reached</Description>
                </Network>
              </NetworkSection>
              <VirtualSystem ovf:id="machine">
                <Info>A virtual machine</Info>
                <Name>machine</Name>
                <OperatingSystemSection ovf:id="101">
                  <Info>The operating system</Info>
                  <Description>Linux, 64 bits</Description>
                </OperatingSystemSection>
                <VirtualHardwareSection>
                  <Info>The hardware</Info>
                  <System>
                    <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
                    <vssd:InstanceID>0</vssd:InstanceID>
                    <vssd:VirtualSystemIdentifier>machine</vssd:VirtualSystemIdentifier>
                    <vssd:VirtualSystemType>vmx-07 virtualbox-2.2</vssd:VirtualSystemType>
                  </System>
                  <Item>
                    <rasd:ElementName>2 processors</rasd:ElementName>
                    <rasd:InstanceID>1</rasd:InstanceID>
                    <rasd:ResourceType>3</rasd:ResourceType>
                    <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
                  </Item>
                  <Item>
                    <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
                    <rasd:ElementName>2048 MiB of memory</rasd:ElementName>
                    <rasd:InstanceID>2</rasd:InstanceID>
                    <rasd:ResourceType>4</rasd:ResourceType>
                    <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
                  </Item>
                  <Item>
                    <rasd:Address>0</rasd:Address>
                    <rasd:ElementName>SATA controller</rasd:ElementName>
                    <rasd:InstanceID>3</rasd:InstanceID>
                    <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
                    <rasd:ResourceType>20</rasd:ResourceType>
                  </Item>
                  <Item>
                    <rasd:AddressOnParent>0</rasd:AddressOnParent>
                    <rasd:ElementName>Disk</rasd:ElementName>
                    <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
                    <rasd:InstanceID>4</rasd:InstanceID>
                    <rasd:Parent>3</rasd:Parent>
                    <rasd:ResourceType>17</rasd:ResourceType>
                  </Item>
                  <Item>
                    <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
                    <rasd:Connection>NAT</rasd:Connection>
                    <rasd:ElementName>Network adapter</rasd:ElementName>
                    <rasd:InstanceID>5</rasd:InstanceID>
                    <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
                    <rasd:ResourceType>10</rasd:ResourceType>
                  </Item>
                </VirtualHardwareSection>
              </VirtualSystem>
            </Envelope>
        "#]].assert_eq(&describe("machine", 600 << 20, 1234));
    }
}
