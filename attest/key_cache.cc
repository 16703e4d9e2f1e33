#include "attest/key_cache.h"

#include "attest/dsse.h"

namespace tally {

Result<KeyCache::Known> KeyCache::get(ByteView spki) {
    {
        std::lock_guard lock(mutex_);
        if (auto found = kept_.find(text(spki)); found != kept_.end()) {
            order_.splice(order_.begin(), order_, found->second);
            return found->second->known;
        }
    }
    // Without the lock: two threads may parse one key, and the second finds it kept.
    auto key = VerifyingKey::from_spki(spki);
    if (!key)
        return key.error();
    Known known{*key, key_id(*key)};
    std::lock_guard lock(mutex_);
    if (kept_.contains(text(spki)))
        return known;
    order_.push_front({to_bytes(spki), known});
    kept_.emplace(text(order_.front().spki), order_.begin());
    if (order_.size() > most_) {
        kept_.erase(text(order_.back().spki));
        order_.pop_back();
    }
    return known;
}

size_t KeyCache::size() const {
    std::lock_guard lock(mutex_);
    return order_.size();
}

} // namespace tally
