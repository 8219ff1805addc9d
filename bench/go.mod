module portolan/bench

go 1.26.0
