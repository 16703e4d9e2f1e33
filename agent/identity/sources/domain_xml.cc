#include "agent/identity/sources/domain_xml.h"

#include <cstring>
#include <expat.h>
#include <memory>
#include <type_traits>
#include <vector>

namespace tally {

namespace {

constexpr size_t kDeepest = 64;
constexpr size_t kLongestValue = 4096;
constexpr char kSeparator = '|'; // between a name's namespace and itself
constexpr const char *kNova = "http://openstack.org/xmlns/libvirt/nova/";

// As Reader::path has them.
constexpr const char *kDomain = "/domstatus/domain";
constexpr const char *kName = "/domstatus/domain/name";
constexpr const char *kUuid = "/domstatus/domain/uuid";
constexpr const char *kFlavor = "/domstatus/domain/metadata/nova:instance/nova:flavor";
constexpr const char *kUser = "/domstatus/domain/metadata/nova:instance/nova:owner/nova:user";
constexpr const char *kProject = "/domstatus/domain/metadata/nova:instance/nova:owner/nova:project";

struct Reader {
    XML_Parser parser = nullptr;
    DomainStatus status;
    std::string path;             // "/domstatus/domain/name"
    std::vector<size_t> lengths;  // of the path, for each element that is open
    std::string *value = nullptr; // of the element that is open, if it is one of ours
    bool refused = false;

    void refuse() {
        refused = true;
        XML_StopParser(parser, XML_FALSE);
    }
    void set(std::string &out, const char *text) {
        if (!out.empty())
            return refuse();
        out = text;
    }
    void open(const char *name, const char **attributes);
    void close();
};

const char *attribute(const char **attributes, const char *name) {
    for (; *attributes != nullptr; attributes += 2) {
        if (std::strcmp(attributes[0], name) == 0)
            return attributes[1];
    }
    return "";
}

// "http://openstack.org/xmlns/libvirt/nova/1.1|owner" -> "nova:owner"; names of no namespace stay;
// others are as long as they are, and none of ours.
void append_name(std::string &path, const char *name) {
    const char *local = std::strrchr(name, kSeparator);
    if (local != nullptr && std::strncmp(name, kNova, std::strlen(kNova)) == 0)
        path.append("nova:").append(local + 1);
    else
        path += name;
}

void Reader::open(const char *name, const char **attributes) {
    if (lengths.size() == kDeepest)
        return refuse();
    lengths.push_back(path.size());
    path += '/';
    append_name(path, name);
    value = nullptr;
    if (path == kDomain)
        set(status.id, attribute(attributes, "id"));
    else if (path == kName)
        value = &status.name;
    else if (path == kUuid)
        value = &status.uuid;
    else if (path == kFlavor)
        set(status.flavor, attribute(attributes, "name"));
    else if (path == kUser)
        set(status.user, attribute(attributes, "uuid"));
    else if (path == kProject) {
        set(status.project, attribute(attributes, "uuid"));
        value = &status.project_name;
    }
    if (value != nullptr && !value->empty())
        refuse();
}

void Reader::close() {
    path.resize(lengths.back());
    lengths.pop_back();
    value = nullptr;
}

} // namespace

std::optional<DomainStatus> parse_domain_status(const std::string &xml) {
    std::unique_ptr<std::remove_pointer_t<XML_Parser>, void (*)(XML_Parser)> parser(
        XML_ParserCreateNS(nullptr, kSeparator), XML_ParserFree);
    if (parser == nullptr)
        return std::nullopt;
    Reader reader{.parser = parser.get()};
    XML_SetUserData(parser.get(), &reader);
    XML_SetStartDoctypeDeclHandler(parser.get(),
                                   [](void *data, const char *, const char *, const char *, int) {
                                       static_cast<Reader *>(data)->refuse();
                                   });
    XML_SetElementHandler(
        parser.get(),
        [](void *data, const char *name, const char **attributes) {
            static_cast<Reader *>(data)->open(name, attributes);
        },
        [](void *data, const char *) { static_cast<Reader *>(data)->close(); });
    XML_SetCharacterDataHandler(parser.get(), [](void *data, const char *text, int length) {
        auto *each = static_cast<Reader *>(data);
        if (each->value == nullptr)
            return;
        each->value->append(text, static_cast<size_t>(length));
        if (each->value->size() > kLongestValue)
            each->refuse();
    });
    auto result = XML_Parse(parser.get(), xml.data(), static_cast<int>(xml.size()), XML_TRUE);
    if (result != XML_STATUS_OK || reader.refused)
        return std::nullopt;
    return std::move(reader.status);
}

} // namespace tally
