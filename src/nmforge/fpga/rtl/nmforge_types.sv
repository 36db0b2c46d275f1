// What the sequencer says about a step, as it travels beside the data.
package nmforge_types;
    typedef struct packed {
        logic valid;         // a step, not a bubble
        logic window_start;  // the first one of its window
        logic group_end;     // the last one of its group
        logic last_group;    // in the last group of its tile
    } control_t;
endpackage
