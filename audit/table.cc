#include "audit/table.h"

#include <algorithm>

namespace tally {

std::string Table::text() const {
    std::vector<size_t> widths(columns_.size(), 0);
    for (const auto &row : rows_) {
        for (size_t i = 0; i < columns_.size(); i++)
            widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    auto add_line = [&](const auto &cell_of) {
        std::string line;
        for (size_t i = 0; i < columns_.size(); i++) {
            if (widths[i] == 0)
                continue;
            std::string padding(widths[i] - cell_of(i).size(), ' ');
            bool right = columns_[i].align == Align::kRight;
            line += (line.empty() ? "" : "  ");
            line += right ? padding + cell_of(i) : cell_of(i) + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    };
    for (size_t i = 0; i < columns_.size(); i++) {
        if (widths[i] > 0)
            widths[i] = std::max(widths[i], columns_[i].title.size());
    }
    add_line([&](size_t i) -> const std::string & { return columns_[i].title; });
    for (const auto &row : rows_)
        add_line([&](size_t i) -> const std::string & { return row[i]; });
    return out;
}

} // namespace tally
