#include "tests/system/storm/history.h"

#include <algorithm>
#include <map>

namespace tally::storm {

namespace {

constexpr uint64_t kNever = ~uint64_t{0};

struct Descriptor {
    uint32_t file = 0;
    uint8_t device = 0;
    bool close_on_exec = false;
};

struct Membership {
    uint16_t cgroup = 0;
    Edge begin;
    Edge end;
};

// A file in a process's table, whichever cgroup it is in meanwhile.
struct Possession {
    uint32_t file = 0;
    uint8_t device = 0;
    Origin origin = Origin::kOpened;
    bool certain = true;
    Edge begin;
    Edge end = {kNever, kNever};
    int parent = -1; // the parent's possession, by number
    int first_stay = -1;
    int stays = 0;
};

struct Life {
    std::vector<const Record *> records;
    std::vector<const Record *> moves; // by whomever
    const Record *fork = nullptr;
    Edge birth;
    Edge death;
    // At the fork: what the parent had.
    std::map<int, Descriptor> inherited;
    std::map<uint32_t, int> inherited_from; // file -> the parent's possession
};

bool complete(const Record &record) {
    return record.after.load() != 0;
}

class Reconstruction {
public:
    explicit Reconstruction(const Journal &journal) : journal_(journal) {}
    History run();

private:
    void sort_records();
    void live(uint32_t actor);
    std::vector<Membership> memberships(const Life &life) const;
    void add_stays(uint32_t actor, const Life &life, size_t first_possession);
    void add_open(const Life &life, const Record &record);
    void add_flights();
    Edge edge(const Life &life, const Record &record) const;

    const Journal &journal_;
    std::vector<Life> lives_;
    std::vector<const Record *> mail_; // sends, receives, discards and the drain
    std::vector<Possession> possessions_;
    History history_;
};

// One process's descriptors, as its records are read.
class Table {
public:
    Table(std::vector<Possession> &possessions, Life &life)
        : possessions_(possessions), fds_(life.inherited) {
        for (const auto &[fd, descriptor] : fds_) {
            if (counts_[descriptor.file]++ == 0)
                begin(descriptor, life.birth, Origin::kInherited, true,
                      life.inherited_from.at(descriptor.file));
        }
    }
    void add(int fd, const Descriptor &descriptor, const Edge &at, Origin origin) {
        fds_[fd] = descriptor;
        if (counts_[descriptor.file]++ == 0)
            begin(descriptor, at, origin, true, -1);
    }
    void remove(int fd, const Edge &at) {
        auto found = fds_.find(fd);
        if (found == fds_.end())
            return;
        uint32_t file = found->second.file;
        fds_.erase(found);
        if (--counts_[file] == 0)
            possessions_[static_cast<size_t>(open_[file])].end = at;
    }
    void remove_all(const Edge &at, bool only_close_on_exec) {
        auto fds = fds_;
        for (const auto &[fd, descriptor] : fds) {
            if (!only_close_on_exec || descriptor.close_on_exec)
                remove(fd, at);
        }
    }
    // Perhaps got, by a call that was cut short, and kept until death.
    void add_possible(const Descriptor &descriptor, const Edge &at, const Edge &death) {
        possessions_.push_back({descriptor.file,
                                descriptor.device,
                                Origin::kPassed,
                                false,
                                {at.earliest, at.latest},
                                death});
    }
    void hand_down(Life &child) const {
        child.inherited = fds_;
        for (const auto &[fd, descriptor] : fds_)
            child.inherited_from[descriptor.file] = open_.at(descriptor.file);
    }

private:
    void begin(const Descriptor &descriptor, const Edge &at, Origin origin, bool certain,
               int parent) {
        open_[descriptor.file] = static_cast<int>(possessions_.size());
        possessions_.push_back(
            {descriptor.file, descriptor.device, origin, certain, at, {kNever, kNever}, parent});
    }

    std::vector<Possession> &possessions_;
    std::map<int, Descriptor> fds_;
    std::map<uint32_t, int> counts_; // descriptors by file
    std::map<uint32_t, int> open_;   // file -> its possession
};

History Reconstruction::run() {
    sort_records();
    for (uint32_t actor = 1; actor < lives_.size(); actor++) {
        if (lives_[actor].birth.latest != 0)
            live(actor);
    }
    add_flights();
    return std::move(history_);
}

void Reconstruction::sort_records() {
    lives_.resize(std::min<size_t>(journal_.actors.load(), kMaxActors));
    std::vector<uint64_t> last(lives_.size()); // clock that a process read last
    std::vector<uint64_t> doomed(lives_.size(), kNever);
    size_t records = std::min<size_t>(journal_.records.load(), kMaxRecords - 1);
    for (size_t number = 1; number <= records; number++) {
        const Record &record = journal_.record[number];
        uint64_t before = record.before.load();
        if (before == 0)
            continue;
        if (complete(record) && record.done != 0)
            history_.done[static_cast<size_t>(record.kind)]++;
        bool void_call = complete(record) && record.done == 0;
        uint64_t read = std::max(before, record.after.load());
        last[record.actor] = std::max(last[record.actor], read);
        Life *target = record.kind == Kind::kFork || record.kind == Kind::kMigrate ||
                               record.kind == Kind::kKill || record.kind == Kind::kDeath
                           ? &lives_[record.target]
                           : nullptr;
        if (record.kind == Kind::kExit) {
            history_.done[static_cast<size_t>(record.kind)]++;
            doomed[record.actor] = std::min(doomed[record.actor], before);
        }
        if (record.kind == Kind::kKill)
            doomed[record.target] = std::min(doomed[record.target], before);
        if (record.kind == Kind::kDeath)
            target->death.latest = before;
        if (record.kind == Kind::kFork)
            target->fork = &record;
        if (record.kind == Kind::kBorn)
            lives_[record.actor].birth.latest = before;
        if (void_call)
            continue;
        if (record.kind == Kind::kMigrate)
            target->moves.push_back(&record);
        if (record.kind == Kind::kSend || record.kind == Kind::kReceive ||
            record.kind == Kind::kDiscard || record.kind == Kind::kDrain)
            mail_.push_back(&record);
        lives_[record.actor].records.push_back(&record);
    }
    for (size_t actor = 1; actor < lives_.size(); actor++) {
        Life &life = lives_[actor];
        if (life.birth.latest == 0)
            continue; // the fork that its place was for did not happen
        life.birth.earliest = life.fork->before.load();
        if (complete(*life.fork))
            life.birth.latest = std::min(life.birth.latest, life.fork->after.load());
        // Who read the clock was alive, even if the killer had meant to be quicker.
        life.death.earliest = std::max(std::min(doomed[actor], life.death.latest), last[actor]);
    }
}

Edge Reconstruction::edge(const Life &life, const Record &record) const {
    return {record.before.load(), complete(record) ? record.after.load() : life.death.latest};
}

void Reconstruction::live(uint32_t actor) {
    Life &life = lives_[actor];
    size_t first_possession = possessions_.size();
    Table table(possessions_, life);
    for (const Record *record : life.records) {
        Edge at = edge(life, *record);
        Descriptor got{record->file, record->device, record->close_on_exec != 0};
        bool cut_short = !complete(*record);
        switch (record->kind) {
        case Kind::kOpen:
            add_open(life, *record);
            if (cut_short)
                table.add_possible(got, at, life.death);
            else
                table.add(record->fd, got, at, Origin::kOpened);
            break;
        case Kind::kCopy:
            // Cut short, it may have closed the file whose place it took.
            if (!cut_short)
                table.add(-1, got, at, Origin::kPassed); // before the other goes: it may be one
            table.remove(record->other_fd, at);
            if (!cut_short) {
                table.add(record->other_fd, got, at, Origin::kPassed);
                table.remove(-1, at);
            }
            break;
        case Kind::kClose:
            table.remove(record->fd, at);
            break;
        case Kind::kReceive:
        case Kind::kTake:
            if (!cut_short) {
                table.add(record->fd, got, at, Origin::kPassed);
                break;
            }
            for (uint8_t device = 0; device < kDevices.size(); device++)
                table.add_possible({0, device, false}, at, life.death);
            break;
        case Kind::kFork:
            if (lives_[record->target].birth.latest != 0)
                table.hand_down(lives_[record->target]);
            break;
        case Kind::kExec:
            table.remove_all(at, /*only_close_on_exec=*/true);
            break;
        default:
            break;
        }
    }
    table.remove_all(life.death, /*only_close_on_exec=*/false);
    add_stays(actor, life, first_possession);
}

// Migrations do not overlap: whoever makes one holds Actor::moving.
std::vector<Membership> Reconstruction::memberships(const Life &life) const {
    std::vector<Membership> all = {{life.fork->cgroup, life.birth, life.death}};
    for (const Record *move : life.moves) {
        Edge at = edge(life, *move);
        // A process on its way out is passed over, without an error.
        if (!complete(*move) || at.latest >= life.death.earliest)
            at.latest = life.death.latest;
        all.back().end = at;
        all.push_back({move->cgroup, at, life.death});
    }
    return all;
}

void Reconstruction::add_stays(uint32_t actor, const Life &life, size_t first_possession) {
    std::vector<Membership> all = memberships(life);
    for (size_t i = first_possession; i < possessions_.size(); i++) {
        Possession &possession = possessions_[i];
        possession.first_stay = static_cast<int>(history_.stays.size());
        for (const Membership &member : all) {
            Stay stay{actor, possession.file, possession.device, member.cgroup};
            stay.certain = possession.certain;
            stay.begin = {std::max(possession.begin.earliest, member.begin.earliest),
                          std::max(possession.begin.latest, member.begin.latest)};
            stay.end = {std::min(possession.end.earliest, member.end.earliest),
                        std::min(possession.end.latest, member.end.latest)};
            if (stay.begin.earliest >= stay.end.latest)
                continue;
            bool from_start = possession.begin.earliest >= member.begin.latest ||
                              (possession.parent >= 0 && &member == &all.front());
            stay.origin = from_start ? possession.origin : Origin::kPassed;
            // Forked from a parent in the same cgroup: the two had it together for a moment.
            if (possession.parent >= 0 && &member == &all.front()) {
                const Possession &from = possessions_[static_cast<size_t>(possession.parent)];
                for (int s = from.first_stay; s >= 0 && s < from.first_stay + from.stays; s++) {
                    const Stay &its = history_.stays[static_cast<size_t>(s)];
                    if (journal_.actor[its.actor].pid.load() < journal_.actor[actor].pid.load() &&
                        its.cgroup == stay.cgroup && its.begin.latest <= life.birth.earliest &&
                        its.end.earliest >= life.birth.latest)
                        stay.parent = s;
                }
            }
            history_.stays.push_back(stay);
            possession.stays++;
        }
    }
}

void Reconstruction::add_open(const Life &life, const Record &record) {
    Open open{record.device, complete(record), edge(life, record), {}};
    for (const Membership &member : memberships(life)) {
        if (member.begin.earliest <= open.at.latest && member.end.latest >= open.at.earliest)
            open.cgroups.push_back(member.cgroup);
    }
    open.certain &= open.cgroups.size() == 1;
    history_.opens.push_back(std::move(open));
}

void Reconstruction::add_flights() {
    std::map<uint64_t, const Record *> taken; // message -> who read it
    std::vector<const Record *> unknown;      // reads that were cut short
    Edge drained;
    for (const Record *record : mail_) {
        if (record->kind == Kind::kDrain)
            drained = {record->before.load(), record->after.load()};
        else if (record->kind != Kind::kSend && complete(*record))
            taken[record->message] = record;
        else if (record->kind != Kind::kSend)
            unknown.push_back(record);
    }
    for (const Record *send : mail_) {
        if (send->kind != Kind::kSend)
            continue;
        Flight flight{send->file, complete(*send), edge(lives_[send->actor], *send), {}};
        auto reader = taken.find(send->message);
        if (reader != taken.end()) {
            flight.end = {reader->second->before.load(), reader->second->after.load()};
            flight.begin.latest = std::min(flight.begin.latest, flight.end.latest);
            flight.certain = true;
        } else {
            flight.end = drained;
            for (const Record *read : unknown) {
                if (read->target == send->target &&
                    lives_[read->actor].death.latest > flight.begin.earliest)
                    flight.end.earliest = std::min(flight.end.earliest, read->before.load());
            }
        }
        history_.flights.push_back(flight);
    }
}

} // namespace

History reconstruct(const Journal &journal) {
    return Reconstruction(journal).run();
}

} // namespace tally::storm
