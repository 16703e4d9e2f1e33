// What libvirt's drivers keep of a running domain: DIRECTORY/NAME.xml, <domstatus> around <domain>
// (libvirt src/conf/domain_conf.c, virDomainObjFormat; formatdomain.html), and in its <metadata>
// what nova says of the instance (nova/virt/libvirt/config.py, LibvirtConfigGuestMetaNovaInstance:
// namespace http://openstack.org/xmlns/libvirt/nova/1.0 or 1.1).
//
// Read by libexpat as it streams. A document with a DTD is refused before any entity is declared,
// as are depth, size and a value that stands there twice.
#pragma once

#include <optional>
#include <string>

namespace tally {

struct DomainStatus {
    std::string id; // of this run of the domain, decimal
    std::string name;
    std::string uuid;
    // Of nova; empty without it.
    std::string project, project_name, user, flavor;
};

std::optional<DomainStatus> parse_domain_status(const std::string &xml);

} // namespace tally
