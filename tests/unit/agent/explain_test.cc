// `tallyd --explain` as a function of what was resolved.
#include "agent/explain.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

Workload acme() {
    Workload workload;
    workload.cgroup_path = "/machine.slice/machine-qemu\\x2d3\\x2dvm.scope";
    workload.identity.source = "libvirt";
    workload.identity.names = {{"libvirt.domain", "vm\n7"}, {"libvirt.uuid", "1-2-3"}};
    workload.identity.origins = {{"/run/libvirt/qemu/vm.xml", sha256(view("xml")), {}}};
    workload.tenant.name = "acme";
    workload.tenant.parent = "middleman";
    workload.tenant.payers = {"bigcloud"};
    workload.tenant.rule = "acme.toml:3: ids libvirt.uuid=1-2-3";
    workload.tenant.digest = sha256(view("rules"));
    return workload;
}

TEST(Explain, APageSaysEveryNameAndWhereItIsFrom) {
    EXPECT_EQ(explanation("1234 (qemu-system-x86)", 99, acme(), {}),
              "process     1234 (qemu-system-x86)\n"
              "cgroup      /machine.slice/machine-qemu\\x2d3\\x2dvm.scope (id 99)\n"
              "named by    libvirt\n"
              "            libvirt.domain=vm\\x0a7\n"
              "            libvirt.uuid=1-2-3\n"
              "read from   /run/libvirt/qemu/vm.xml, sha256 " +
                  to_hex(sha256(view("xml"))) +
                  "\n"
                  "tenant      acme\n"
                  "through     middleman through bigcloud\n"
                  "by rule     acme.toml:3: ids libvirt.uuid=1-2-3\n"
                  "            file's sha256 " +
                  to_hex(sha256(view("rules"))) +
                  "\n"
                  "privacy     full: all of this leaves the host\n");
}

TEST(Explain, OfNobodysItSaysWhatARuleCouldUse) {
    Workload workload;
    workload.cgroup_path = "/system.slice/x.service";
    workload.identity = {"systemd", {{"systemd.unit", "x.service"}}, {}};
    std::string page = explanation("1 (x)", 5, workload, {});
    EXPECT_NE(page.find("named by    systemd, by the path alone\n"), std::string::npos) << page;
    EXPECT_NE(page.find("tenant      nobody: no rule matches\n"
                        "            a rule could name it by /system.slice/x.service, "
                        "systemd.unit=x.service\n"),
              std::string::npos)
        << page;
    workload.identity = {};
    page = explanation("1 (x)", 5, workload, {});
    EXPECT_NE(page.find("named by    none of the sources"), std::string::npos) << page;
}

TEST(Explain, TheUnifiedHierarchysLineIsTheOneThatCounts) {
    auto path = unified_cgroup("12:memory:/old\n1:name=systemd:/x\n0::/new/a:b\n");
    ASSERT_TRUE(path);
    EXPECT_EQ(*path, "/new/a:b");
    for (const char *text :
         {"", "\n", "12:memory:/old\n", "0::/../other\n", "0::/x (deleted)\n", "10::/x\n", "0:"})
        EXPECT_FALSE(unified_cgroup(text)) << text;
}

} // namespace
} // namespace tally
