#include "audit/copy.h"

#include "attest/layout.h"
#include "base/curl.h"
#include "base/durable.h"

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>

namespace tally {

namespace {

constexpr size_t kAtOnce = 16;
constexpr long kConnectSeconds = 15;
constexpr long kStalledSeconds = 60; // without a byte

// One file on its way. Stays where it is: curl writes into it.
class Transfer {
public:
    Transfer() : easy_(curl_easy_init()) {
        CURL *easy = easy_.get();
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
    }
    Transfer(const Transfer &) = delete;
    Transfer &operator=(const Transfer &) = delete;

    void aim(const std::string &address, const std::string &name, size_t limit) {
        name_ = name;
        limit_ = limit;
        body_.clear();
        curl_easy_setopt(easy_.get(), CURLOPT_URL, (address + "/" + name).c_str());
    }
    // What the server said, after the end: the file, or nothing if there is none.
    Result<std::optional<Bytes>> outcome(const std::string &address, CURLcode code) {
        std::string where = address + "/" + name_ + ": ";
        if (code == CURLE_WRITE_ERROR)
            return Error{where + "is longer than a log's can be"};
        if (code != CURLE_OK)
            return Error{where + curl_easy_strerror(code)};
        long status = 0;
        curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
        if (status == 404)
            return std::optional<Bytes>();
        if (status != 200)
            return Error{where + "the server answers with status " + std::to_string(status)};
        return std::optional(std::move(body_));
    }
    CURL *easy() const { return easy_.get(); }

    Tile tile;

private:
    static size_t take(char *data, size_t size, size_t count, void *transfer) {
        auto &self = *static_cast<Transfer *>(transfer);
        if (self.body_.size() + size * count > self.limit_)
            return 0; // curl then ends the transfer with an error
        self.body_.insert(self.body_.end(), data, data + size * count);
        return size * count;
    }

    CurlEasy easy_;
    std::string name_;
    size_t limit_ = 0;
    Bytes body_;
};

class Copy {
public:
    Copy(std::string address, std::string directory)
        : address_(std::move(address)), directory_(std::move(directory)),
          multi_(curl_multi_init()) {}
    ~Copy() {
        for (const auto &transfer : transfers_)
            curl_multi_remove_handle(multi_.get(), transfer->easy());
    }
    Copy(const Copy &) = delete;
    Copy &operator=(const Copy &) = delete;

    Result<std::string> checkpoint() {
        Transfer transfer;
        transfer.aim(address_, "checkpoint", kMostCheckpoint);
        auto bytes = transfer.outcome(address_, curl_easy_perform(transfer.easy()));
        if (!bytes)
            return bytes.error();
        if (!bytes->has_value())
            return Error{address_ + "/checkpoint: there is none: is this a log's address?"};
        return std::string((*bytes)->begin(), (*bytes)->end());
    }

    Status tiles(uint64_t size, const std::function<void(uint64_t, uint64_t)> &progress) {
        for (const Tile &tile : tiles_of(size)) {
            if (!have(tile) && !have({tile.level, tile.index}))
                wanted_.push_back(tile);
        }
        uint64_t files = wanted_.size();
        for (size_t i = 0; i < kAtOnce && !wanted_.empty(); i++) {
            transfers_.push_back(std::make_unique<Transfer>());
            start(*transfers_.back(), next());
        }
        for (uint64_t done = 0; done < files;) {
            int running = 0;
            curl_multi_perform(multi_.get(), &running);
            int left = 0;
            while (CURLMsg *message = curl_multi_info_read(multi_.get(), &left)) {
                if (message->msg != CURLMSG_DONE)
                    continue;
                auto landed = land(*message);
                if (!landed)
                    return landed.error();
                done += *landed ? 1 : 0;
                if (progress)
                    progress(done, files);
            }
            if (done < files)
                curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr);
        }
        return ok();
    }

private:
    bool have(const Tile &tile) const {
        return std::filesystem::exists(directory_ + "/" + tile.path());
    }
    Tile next() {
        Tile tile = wanted_.front();
        wanted_.pop_front();
        return tile;
    }
    void start(Transfer &transfer, const Tile &tile) {
        transfer.tile = tile;
        transfer.aim(address_, tile.path(), tile.most_bytes());
        curl_multi_add_handle(multi_.get(), transfer.easy());
    }
    // Whether the tile is here; if not, the transfer is under way again.
    Result<bool> land(const CURLMsg &message) {
        Transfer *transfer = nullptr;
        curl_easy_getinfo(message.easy_handle, CURLINFO_PRIVATE, &transfer);
        CURLcode code = message.data.result;
        curl_multi_remove_handle(multi_.get(), transfer->easy());
        Tile tile = transfer->tile;
        auto bytes = transfer->outcome(address_, code);
        if (!bytes)
            return bytes.error();
        if (!bytes->has_value() && tile.width < kTileWidth) {
            // A log that has grown may have dropped it for the full one ("Partial Tiles").
            start(*transfer, {tile.level, tile.index});
            return false;
        }
        if (!bytes->has_value())
            return Error{address_ + "/" + tile.path() +
                         ": missing, though the log's checkpoint covers it"};
        std::filesystem::path path(directory_ + "/" + tile.path());
        std::error_code failure;
        std::filesystem::create_directories(path.parent_path(), failure);
        TALLY_TRY(replace_file_unsynced_name(path.string(), **bytes));
        if (!wanted_.empty())
            start(*transfer, next());
        return true;
    }

    std::string address_;
    std::string directory_;
    CurlMulti multi_;
    std::vector<std::unique_ptr<Transfer>> transfers_;
    std::deque<Tile> wanted_;
};

} // namespace

bool is_address(const std::string &log) {
    return log.starts_with("https://") || log.starts_with("http://");
}

Result<std::string> copy_directory(const std::string &address) {
    const char *cache = std::getenv("XDG_CACHE_HOME");
    const char *home = std::getenv("HOME");
    if ((cache == nullptr || *cache != '/') && (home == nullptr || *home != '/'))
        return Error{"no place for a copy of " + address + ": set HOME or XDG_CACHE_HOME"};
    std::string base = cache != nullptr && *cache == '/' ? cache : std::string(home) + "/.cache";
    return base + "/tallystick/" + to_hex(sha256(view(address))).substr(0, 16);
}

Status copy_log(const std::string &address, const std::vector<NoteKey> &log_keys,
                const std::string &directory,
                const std::function<void(uint64_t, uint64_t)> &progress) {
    Copy copy(address, directory);
    auto note = copy.checkpoint();
    if (!note)
        return note.error();
    // Signed, so that its size is no stranger's; what it covers is verified later.
    auto checkpoint = open_checkpoint(*note, log_keys);
    if (!checkpoint)
        return Error{address + "/checkpoint: " + checkpoint.error().message};
    TALLY_TRY(make_directories(directory));
    TALLY_TRY(copy.tiles(checkpoint->size, progress));
    return replace_file(directory + "/checkpoint", view(*note));
}

} // namespace tally
