// Text in columns, for a terminal.
#pragma once

#include <string>
#include <vector>

namespace tally {

class Table {
public:
    enum class Align { kLeft, kRight };
    struct Column {
        std::string title;
        Align align = Align::kLeft;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    // One cell per column; cells are ASCII (base/bytes.h, printable).
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    // Titles and rows, two spaces between columns. A column whose cells are all empty is left out.
    std::string text() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace tally
