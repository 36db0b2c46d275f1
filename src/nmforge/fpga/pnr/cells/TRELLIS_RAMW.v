// Write port of LUT RAM: two LUTs of a slice give up their inputs for the write address and data of the others.
module TRELLIS_RAMW (
    input A0, B0, C0, D0, A1, B1, C1, D1,
    output WADO0, WADO1, WADO2, WADO3, WDO0, WDO1, WDO2, WDO3
);
    assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
    assign {WDO3, WDO2, WDO1, WDO0}     = {B1, D1, A1, C1};
endmodule
